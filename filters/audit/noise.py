"""How many marked answers are wrong in a run without known truth: a stratified sample, opinions on it, and intervals.

Strata are what is kept and, of what is dropped, each reason of the filter that drops it first. Who gives the opinions
is left open: a model (`capcurriculum audit`) or people. An opinion that is missing or cannot tell counts for neither
side; how many there are stands beside every rate, with the rates that they could make of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger.verdicts import current
from capcurriculum.reasons import NOT_JUDGED
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import SCHEMA, digest
from capcurriculum.run import Run
from datagen.auditor import Opinion

KEPT = "kept"
#: Draws for the interval over several strata: its ends are then sure to about a thousandth of its width.
DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question of the sample and its stratum: `kept`, or `filter: reason`."""

    question_id: str
    stratum: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The questions to give an opinion on, and how many rows the run has in each stratum."""

    drawn: tuple[Drawn, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of wrong labels over one stratum or several, with a 95 % interval.

    `rows` are in the run; `right`, `wrong` and `unknown` are of the sample. `share` is None where nothing is known.
    `least` and `most` are the shares if every unknown one were right, or wrong.
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


def draw(run: Run, recipe: Recipe, size: int, seed: int = 0) -> Sample:
    """About `size` questions made from captions: half of what is kept, the rest evenly over the reasons of the dropped.

    A stratum that is smaller than its part is taken whole, and what it leaves goes to the others. The same seed gives
    the same questions, and a larger size those and more, so that no opinion is lost.
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
    machine = pl.col("filter") != HUMAN  # what people found wrong is what the sample is to tell
    verdicts = current(run, recipe, made, machine).filter(~pl.col("reason").is_in(list(NOT_JUDGED)))
    dropped = verdicts.filter(~pl.col("keep")).sort("place").unique("question_id", keep="first", maintain_order=True)
    named = dropped.select("question_id", stratum=pl.concat_str("filter", "reason", separator=": "))
    judged = verdicts.select("question_id").unique()
    found = judged.join(named, on="question_id", how="left").with_columns(pl.col("stratum").fill_null(KEPT))
    return found.sort("question_id").collect()


def allocation(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Stratum -> how many questions to draw, given its number of rows and the `size` of the sample."""
    wanted = {name: 0 for name in counts}
    dropped = [name for name in counts if name != KEPT]
    wanted |= evenly({KEPT: counts[KEPT]}, size - size // 2 if dropped else size) if KEPT in counts else {}
    wanted |= evenly({name: counts[name] for name in dropped}, size - sum(wanted.values()))
    left = size - sum(wanted.values())
    if left and KEPT in counts:
        wanted[KEPT] = min(counts[KEPT], wanted[KEPT] + left)
    return wanted


def evenly(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Stratum -> its even part of `size`; what a stratum has too few rows for goes to the others."""
    found: dict[str, int] = {}
    for place, (name, count) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0]))):
        # The smallest first: what they do not have goes to those after them.
        found[name] = min(count, size // (len(counts) - place))
        size -= found[name]
    return found


def estimate(sample: Sample, opinions: Mapping[str, Opinion]) -> list[Rate]:
    """A rate for each stratum, then for all that is `dropped`, and for `all` rows, each stratum by its number of rows.

    One stratum has the exact interval of Clopper and Pearson (1934, Biometrika 26:404-413). Over several it is that of
    the weighted sum of draws from each stratum's Beta(wrong + 1/2, right + 1/2), the posterior under Jeffreys' prior: a
    bootstrap would claim to be sure of every stratum in which nothing wrong was met.
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


def said_by(votes: Sequence[Opinion]) -> Opinion:
    """What more than half of the readable votes say; UNSURE without such a majority, UNKNOWN without votes."""
    known = [vote for vote in votes if vote is not Opinion.UNKNOWN]
    if not known:
        return Opinion.UNKNOWN
    for side in (Opinion.AGREE, Opinion.DISAGREE):
        if 2 * votes.count(side) > len(known):
            return side
    return Opinion.UNSURE
