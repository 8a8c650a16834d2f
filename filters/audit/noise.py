"""Label noise of a run without ground truth: a stratified sample, opinions on it, and rates with intervals.

Strata are the kept questions and, for the dropped ones, the reason of the first filter that drops them. Opinions come
from models (`capcurriculum audit`) or people. A missing or undecided one counts for neither side; every rate has their
number and its bounds over them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger.verdicts import current
from capcurriculum.reasons import NOT_JUDGED
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import SCHEMA, Answer, Purpose, digest
from capcurriculum.run import Run
from datagen.auditor import Opinion, votes_in

KEPT = "kept"
#: Draws for an interval over several strata; the Monte Carlo error of its ends is about a thousandth of its width.
DRAWS = 20_000
#: Numeric columns of a printed table of rates.
COLUMNS = ("rows", "asked", "wrong", "unknown", "share", "95 %")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question of the sample and its stratum, `kept` or `filter: reason`."""

    question_id: str
    stratum: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The drawn questions, and the number of rows of each stratum."""

    drawn: tuple[Drawn, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of wrong labels over one or more strata, with a 95 % interval from `low` to `high`.

    `rows` counts the run; `right`, `wrong` and `unknown` count the sample. `share` is None if nothing is known. `least`
    and `most` are the shares if all unknown ones were right, or wrong.
    """

    stratum: str
    rows: int
    right: int
    wrong: int
    unknown: int
    share: float | None
    low: float
    high: float
    least: float
    most: float

    def cells(self) -> tuple[object, ...]:
        """The row of a table with the columns `stratum` and `COLUMNS`."""
        asked = self.right + self.wrong + self.unknown
        share = "unknown" if self.share is None else f"{self.share:.1%}"
        return self.stratum, self.rows, asked, self.wrong, self.unknown, share, f"{self.low:.1%}-{self.high:.1%}"


def draw(run: Run, recipe: Recipe, size: int, seed: int = 0) -> Sample:
    """Draw `size` questions made from captions: half from the kept ones, the rest evenly over the reasons of a drop.

    What a small stratum cannot give goes to the others. The same seed gives the same questions, and a larger size
    contains them, so that opinions are reused.
    """
    strata = _strata(run, recipe)
    counts = dict(strata.group_by("stratum").len().sort("stratum").iter_rows())
    wanted = allocation(counts, size)
    drawn = []
    for (name,), rows in strata.group_by("stratum"):
        ids = sorted(rows["question_id"], key=lambda key: digest(SCHEMA, "audit", seed, key))
        drawn += [Drawn(key, str(name)) for key in ids[: wanted[str(name)]]]
    return Sample(tuple(sorted(drawn, key=lambda d: (d.stratum, d.question_id))), counts)


def _strata(run: Run, recipe: Recipe) -> pl.DataFrame:
    """`question_id` and `stratum` of every question made from a caption that a filter of the recipe has judged."""
    made = pl.col("stage").is_in(list(recipe.captioned))
    judged = fates(run, recipe, made).rename({"fate": "stratum"})
    return judged.sort("question_id").collect()


def fates(run: Run, recipe: Recipe, *predicates: pl.Expr) -> pl.LazyFrame:
    """`question_id` and `fate` (`kept` or the first `filter: reason` that dropped it) of every judged question.

    Verdicts of people are left out, since they are what a sample is drawn for.
    """
    verdicts = current(run, recipe, pl.col("filter") != HUMAN, *predicates).filter(
        ~pl.col("reason").is_in(list(NOT_JUDGED))
    )
    dropped = verdicts.filter(~pl.col("keep")).sort("place").unique("question_id", keep="first", maintain_order=True)
    named = dropped.select("question_id", fate=pl.concat_str("filter", "reason", separator=": "))
    judged = verdicts.select("question_id").unique()
    return judged.join(named, on="question_id", how="left").with_columns(pl.col("fate").fill_null(KEPT))


def allocation(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Stratum -> number to draw, given its number of rows and the size of the sample."""
    wanted = {name: 0 for name in counts}
    dropped = [name for name in counts if name != KEPT]
    wanted |= evenly({KEPT: counts[KEPT]}, size - size // 2 if dropped else size) if KEPT in counts else {}
    wanted |= evenly({name: counts[name] for name in dropped}, size - sum(wanted.values()))
    left = size - sum(wanted.values())
    if left and KEPT in counts:
        wanted[KEPT] = min(counts[KEPT], wanted[KEPT] + left)
    return wanted


def evenly(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Stratum -> its even part of `size`; what a small stratum cannot give goes to the others."""
    found: dict[str, int] = {}
    for place, (name, count) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0]))):
        # Smallest first, so that their remainder goes to the larger ones.
        found[name] = min(count, size // (len(counts) - place))
        size -= found[name]
    return found


def estimate(sample: Sample, opinions: Mapping[str, Opinion]) -> list[Rate]:
    """A rate for each stratum, then for the `dropped` and for `all` rows, weighted by the strata's rows.

    One stratum has the exact interval of Clopper and Pearson (1934, Biometrika 26:404-413). Several have that of the
    weighted sum of draws from each stratum's Beta(wrong + 1/2, right + 1/2), the posterior under Jeffreys' prior; a
    bootstrap has zero variance in a stratum without wrong labels.
    """
    counts: dict[str, Counter[Opinion]] = {name: Counter() for name in sample.rows}
    for drawn in sample.drawn:
        counts[drawn.stratum][opinions.get(drawn.question_id, Opinion.UNKNOWN)] += 1
    one = [_stratum(name, rows, counts[name]) for name, rows in sample.rows.items()]
    one.sort(key=lambda rate: (rate.stratum != KEPT, -rate.rows, rate.stratum))
    dropped = [rate for rate in one if rate.stratum != KEPT]
    sums = [_together("dropped", dropped)] if len(dropped) > 1 else []
    return [*one, *sums, *([_together("all", one)] if len(one) > 1 else [])]


def _stratum(name: str, rows: int, count: Mapping[Opinion, int]) -> Rate:
    from scipy.stats import binomtest

    right, wrong = count.get(Opinion.AGREE, 0), count.get(Opinion.DISAGREE, 0)
    unknown = count.get(Opinion.UNSURE, 0) + count.get(Opinion.UNKNOWN, 0)
    known, asked = right + wrong, right + wrong + unknown
    least, most = (wrong / asked, (wrong + unknown) / asked) if asked else (0.0, 1.0)
    if not known:
        return Rate(name, rows, right, wrong, unknown, None, 0.0, 1.0, least, most)
    interval = binomtest(wrong, known).proportion_ci(0.95, "exact")
    return Rate(name, rows, right, wrong, unknown, wrong / known, interval.low, interval.high, least, most)


def _together(name: str, parts: Sequence[Rate]) -> Rate:
    import numpy as np

    rows = sum(part.rows for part in parts)
    generator = np.random.default_rng(0)
    total = np.zeros(DRAWS)
    for part in parts:
        total += part.rows / rows * generator.beta(part.wrong + 0.5, part.right + 0.5, DRAWS)
    low, high = np.quantile(total, (0.025, 0.975))
    known = all(part.share is not None for part in parts)

    def mean(values: Iterable[float]) -> float:
        return sum(part.rows / rows * value for part, value in zip(parts, values, strict=True))

    return Rate(
        stratum=name,
        rows=rows,
        right=sum(part.right for part in parts),
        wrong=sum(part.wrong for part in parts),
        unknown=sum(part.unknown for part in parts),
        share=mean(part.share or 0.0 for part in parts) if known else None,
        low=float(low),
        high=float(high),
        least=mean(part.least for part in parts),
        most=mean(part.most for part in parts),
    )


def opinions(run: Run, *where: pl.Expr) -> dict[str, Opinion]:
    """What auditors say of each question that they were asked about, by their votes of which `where` holds."""
    votes: defaultdict[str, list[Answer]] = defaultdict(list)
    for vote in run.answers.where(pl.col("purpose") == Purpose.AUDIT, *where):
        votes[vote.question_id].append(vote)
    return {question_id: said_by([vote.opinion for vote in votes_in(found)]) for question_id, found in votes.items()}


def said_by(votes: Sequence[Opinion]) -> Opinion:
    """The absolute majority of the readable votes; UNSURE without one, UNKNOWN without votes."""
    known = [vote for vote in votes if vote is not Opinion.UNKNOWN]
    if not known:
        return Opinion.UNKNOWN
    for side in (Opinion.AGREE, Opinion.DISAGREE):
        if 2 * votes.count(side) > len(known):
            return side
    return Opinion.UNSURE
