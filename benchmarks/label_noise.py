"""Wrong labels that each set of filters lets in, and good rows that it costs: `python -m benchmarks.label_noise`.

Definitions, over the questions of one build whose scenes are known:

- A label is wrong if the marked answer is not true in the *image*: another answer is (a false label), or none is, since
  the question asks about what only the caption tells of (a void one).
- A row is a good perception-hard one if its label is right and the paper's rule keeps it: every solver wrong from the
  image and right from the caption, in the order of the options in which the question is written. Recall counts those.
- A world with a share s of lying captions is the build's own rows, of which half lie, weighted: lying ones by s/share,
  true ones by (1-s)/(1-share). Every filter here judges a row by itself, so this is what such a world gives.
- Requests are those a build with that set would make for 1,000 captions: one to the teacher, the arms and orders that
  the set reads, and votes on what the filters before let through.

Intervals are 95 % percentiles of 2,000 bootstrap draws of whole rows, lying and true ones apart.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import noise_page
from benchmarks.noise_describe import SOLVER, VOTES, describe
from benchmarks.noise_page import AGREE, AT, DESCRIBED, RECOMMENDED
from benchmarks.noise_world import EQUAL, STRONGER, Setup, built, truth
from capcurriculum.recipe import Recipe
from capcurriculum.recipe_auditor import AuditorSection
from capcurriculum.recipe_filters import AgreedOtherSection, BlindSection, ConsistentSection, SwappedSection
from capcurriculum.rows import Answer, Question
from capcurriculum.run import Run
from filters import agreed_other, auditor, blind, consistent, perception, swapped
from filters.panel import Panel

SHARES = (0.0, 0.05, 0.10, 0.20)
BOOTSTRAPS = 2000
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Judge = Callable[[Question, Sequence[Answer]], bool]


@dataclass(frozen=True, slots=True)
class FilterSet:
    """Which questions a set keeps (of all, in the run's order), and its requests for 1,000 captions."""

    name: str
    kept: Flags
    requests: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A build with its truth: per question whether its caption lies, whether its label is right, and what is kept."""

    setup: str
    lied: Flags
    true: Flags
    void: Flags
    sets: tuple[FilterSet, ...]

    def weights(self, share: float) -> Numbers:
        """What each question counts in a world with this share of lies."""
        own = self.lied.mean()
        return np.where(self.lied, share / own, (1 - share) / (1 - own))


@dataclass(frozen=True, slots=True)
class Line:
    """One set in one world; pairs are 95 % intervals, `ratio` is the wrong labels' share over the paper's own.

    `false_kept` and `void_kept` are the shares of the paper's false and void labels that the set keeps too.
    """

    setup: str
    lies: float
    set: str
    wrong: float
    wrong_interval: tuple[float, float]
    recall: float
    recall_interval: tuple[float, float]
    ratio: float
    ratio_interval: tuple[float, float]
    false_kept: float
    void_kept: float
    requests: float


def measured(setup: Setup, folder: Path) -> Measured:
    """Build, judge with every set, and look up the truth."""
    run, recipe = built(setup, folder)
    known = truth(run)
    asked = [q for q in run.questions.rows() if q.question_id in known]
    lied, true, void = (
        np.array([getattr(known[q.question_id], name) for q in asked]) for name in ("lied", "true", "void")
    )
    return Measured(setup.name, lied, true, void, tuple(_sets(run, recipe, asked, setup)))


def _sets(run: Run, recipe: Recipe, asked: Sequence[Question], setup: Setup) -> Iterator[FilterSet]:
    replies: defaultdict[str, list[Answer]] = defaultdict(list)
    described: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.rows(~pl.col("solver").str.starts_with(SOLVER)):
        replies[answer.question_id].append(answer)

    def keeps(judge: Judge) -> Flags:
        return np.array([judge(q, replies[q.question_id]) for q in asked])

    both = Panel(setup.solvers, (0, 1))
    section = next(f for f in recipe.filters if isinstance(f, AuditorSection))
    paper = keeps(lambda q, a: perception.judge(q, _probed(a), Panel(setup.solvers)).keep)
    strict = keeps(lambda q, a: perception.judge(q, _probed(a), both).keep)
    steady = keeps(lambda q, a: consistent.judge(q, _probed(a), both, ConsistentSection(arms=("caption",))).keep)
    firm = keeps(lambda q, a: consistent.judge(q, _probed(a), both, ConsistentSection()).keep)
    unlike = keeps(lambda q, a: agreed_other.judge(q, _probed(a), both, AgreedOtherSection()).keep)
    solvers, votes, n = len(setup.solvers), section.votes * len(section.models), len(asked)

    describe(run, recipe, setup, (q for q, kept in zip(asked, paper, strict=True) if kept))
    for vote in run.answers.where(pl.col("solver").str.starts_with(SOLVER), pl.col("rollout") < VOTES):
        described[vote.question_id].append(vote)

    def one(name: str, kept: Flags, arms: int, audited: Flags | None = None) -> FilterSet:
        cost = 1 + solvers * arms + (votes * audited.sum() / n if audited is not None else 0)
        return FilterSet(name, kept, 1000 * float(cost))

    def audited(share: float) -> Flags:
        told = section.model_copy(update={"agree_at_least": share})
        return keeps(lambda q, a: auditor.judge(q, [v for v in a if v.purpose == "audit"], told).keep)

    yield one("paper", paper, 2)
    yield one("paper, both orders", paper & strict, 4)
    yield one("paper + consistent (caption)", paper & steady, 3)
    yield one("paper + consistent (image, caption)", paper & firm, 4)
    yield one("paper + agreed_other", paper & unlike, 3)
    others = np.ones(n, bool)
    if "blind" in setup.arms:
        others = keeps(lambda q, a: blind.judge(q, _probed(a), both, BlindSection()).keep)
        others &= keeps(lambda q, a: swapped.judge(q, _probed(a), both, SwappedSection()).keep)
        yield one("paper + blind, swapped", paper & others, 7)
    for share in (0.05, 0.1, 0.2, 0.25, AGREE, 0.35, 0.4, 0.5, 0.6, 0.75):
        yield one(f"paper + auditors >= {share}", paper & audited(share), 2, paper)
    for count in range(1, 5):
        seen = keeps(partial(_looks, described, told=_describing(section, count)))
        cost = 1000 * (1 + solvers * 2 + VOTES * len(setup.auditors) * paper.sum() / n)
        yield FilterSet(DESCRIBED.format(count), paper & seen, float(cost))
    rest = paper & steady & others
    yield one("all that answer", rest & audited(AGREE), 8 if "blind" in setup.arms else 3, rest)


def _describing(section: AuditorSection, count: int) -> AuditorSection:
    """A rule by which so many descriptions must bear the marked answer out."""
    return section.model_copy(update={"votes": VOTES, "agree_at_least": count / (VOTES * len(section.models))})


def _looks(
    described: Mapping[str, Sequence[Answer]], question: Question, _: Sequence[Answer], told: AuditorSection
) -> bool:
    return auditor.judge(question, described.get(question.question_id, ()), told).keep


def _probed(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.purpose == "probe"]


def lines(found: Measured) -> Iterator[Line]:
    """Every set in every world."""
    generator = np.random.default_rng(0)
    groups = [np.flatnonzero(found.lied == lied) for lied in (False, True)]
    draws = [np.concatenate([generator.choice(g, len(g)) for g in groups]) for _ in range(BOOTSTRAPS)]
    for share in SHARES:
        weights = found.weights(share)
        paper = found.sets[0].kept
        for each in found.sets:
            here = _numbers(found, each.kept, paper, weights, np.arange(len(weights)))
            spread = np.array([_numbers(found, each.kept, paper, weights, rows) for rows in draws])
            wrong, recall, ratio = map(_ends, spread.T)
            false, void = (_left(each.kept, paper & kind, weights) for kind in (~found.true & ~found.void, found.void))
            yield Line(
                setup=found.setup,
                lies=share,
                set=each.name,
                wrong=float(here[0]),
                wrong_interval=wrong,
                recall=float(here[1]),
                recall_interval=recall,
                ratio=float(here[2]),
                ratio_interval=ratio,
                false_kept=false,
                void_kept=void,
                requests=each.requests,
            )


def _left(kept: Flags, of: Flags, weights: Numbers) -> float:
    """Share of those rows that are kept."""
    total = float((weights * of).sum())
    return float((weights * of * kept).sum()) / total if total else float("nan")


def _ends(values: Numbers) -> tuple[float, float]:
    """The middle 95 % of the draws in which there is a value at all."""
    known = values[~np.isnan(values)]
    return (float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))) if len(known) else (np.nan, np.nan)


def _numbers(found: Measured, kept: Flags, paper: Flags, weights: Numbers, rows: npt.NDArray[np.intp]) -> Numbers:
    """Share of wrong labels among the kept, recall of good rows, and the first over that of the paper's rule."""
    w, true, k, p = weights[rows], found.true[rows], kept[rows], paper[rows]
    wrong, base = (float((w * ~true * f).sum() / max((w * f).sum(), 1e-12)) for f in (k, p))
    recall = float((w * true * k * p).sum() / max((w * true * p).sum(), 1e-12))
    return np.array([wrong, recall, wrong / base if base else np.nan])


@cache
def _headline() -> Line:
    """The recommended set at the share of lies that the targets are about."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(STRONGER, Path(folder))
    return next(line for line in lines(found) if (line.lies, line.set) == (AT, RECOMMENDED))


def ratio() -> float:
    """Share of wrong labels among the rows kept with auditors that see better than the probe, over the paper's."""
    return _headline().ratio


def recall() -> float:
    """Share of the good perception-hard rows that stay."""
    return _headline().recall


def main() -> None:
    """Measure both set-ups, and write the table and the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_noise", description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the runs, gone on with if they are there")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where experiments.md is (default docs)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = arguments.keep or Path(own)
        found = [line for setup in (STRONGER, EQUAL) for line in lines(measured(setup, folder))]
    noise_page.write(found, arguments.out)
    print(json.dumps({"lines": len(found)}))


if __name__ == "__main__":
    main()
