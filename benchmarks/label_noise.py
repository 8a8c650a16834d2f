"""Wrong labels that each set of filters lets in, and good rows that it costs: `python -m benchmarks.label_noise`.

Definitions, over the questions of one build whose scenes are known:

- A label is wrong if the marked answer is not true in the *image*: another answer is (a false label), or none is, since
  the question asks about what only the caption tells of (a void one).
- A row is a good perception-hard one if its label is right and the paper's rule keeps it: every solver wrong from the
  image and right from the caption, in the order of the options in which the question is written. Recall counts those.
- A world with a share s of lying captions is the build's own rows, of which half lie, weighted: lying ones by s/share,
  true ones by (1-s)/(1-share). Every filter here judges a row by itself, so this is what such a world gives.
- Requests are those a build with that set would make for 1,000 captions: one to the teacher, the arms and orders that
  the set reads, and votes on what the filters before let through; of auditors that describe, descriptions and readings.

Intervals are 95 % percentiles of 2,000 bootstrap draws of whole rows, lying and true ones apart.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import noise_audit, noise_page
from benchmarks.noise_audit import ORDERS, VOTES
from benchmarks.noise_page import AGREE, ANSWERING, AT, DESCRIBED, JUDGED, RECOMMENDED, RULES, SHARES_AGREED, told
from benchmarks.noise_world import EQUAL, LOOKING, STRONGER, Setup, built, truth
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Purpose, Question
from capcurriculum.run import Run
from filters.rules.agreed_other import AgreedOtherSection
from filters.rules.auditor import AuditorSection
from filters.rules.blind import BlindSection
from filters.rules.consistent import ConsistentSection
from filters.rules.panel import Panel
from filters.rules.perception import PerceptionFilterSection
from filters.rules.swapped import SwappedSection

RUNS = Path("runs") / "label_noise"
#: Of the sets that ask nobody but the solvers, those of which "all that answer" is made.
IN_ALL = ("paper + consistent (caption)", "paper + blind, swapped")
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
    probed: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.rows(pl.col("purpose") == str(Purpose.PROBE)):
        probed[answer.question_id].append(answer)
    keeps = partial(_keeps, asked, probed)
    paper = keeps(lambda q, a: PerceptionFilterSection().judge(q, a, Panel(setup.solvers)).keep)
    reached = [q for q, kept in zip(asked, paper, strict=True) if kept]

    def one(name: str, kept: Flags, arms: int = 2, votes: int = 0, audited: Flags = paper) -> FilterSet:
        each = 1 + len(setup.solvers) * arms + votes * len(setup.auditors) * audited.mean()
        return FilterSet(name, paper & kept, 1000 * float(each))

    yield one("paper", paper)
    every = np.ones(len(asked), bool)
    if setup.votes:
        for name, kept, arms in _probe_alone(keeps, setup):
            yield one(name, kept, arms)
            if name in IN_ALL:
                every &= kept
    for name, kept, votes in _described(run, recipe, asked, reached, setup):
        yield one(name, kept, votes=votes)
    if setup.votes:
        said = noise_audit.heard(run, recipe, noise_audit.answering(setup, AGREE), reached)
        for share in SHARES_AGREED:
            kept = _keeps(asked, said, _by(noise_audit.answering(setup, share)))
            yield one(ANSWERING.format(share), kept, votes=setup.votes)
            if share == AGREE:
                yield one(
                    "all that answer", every & kept, 8 if "blind" in setup.arms else 3, setup.votes, paper & every
                )


def _probe_alone(keeps: Callable[[Judge], Flags], setup: Setup) -> Iterator[tuple[str, Flags, int]]:
    """Sets that ask nobody but the solvers, and how many arms and orders of the options they read."""
    both = Panel(setup.solvers, (0, 1))
    yield "paper, both orders", keeps(lambda q, a: PerceptionFilterSection().judge(q, a, both).keep), 4
    steady = ConsistentSection(arms=("caption",))
    yield "paper + consistent (caption)", keeps(lambda q, a: steady.judge(q, a, both).keep), 3
    firm = keeps(lambda q, a: ConsistentSection().judge(q, a, both).keep)
    yield "paper + consistent (image, caption)", firm, 4
    yield "paper + agreed_other", keeps(lambda q, a: AgreedOtherSection().judge(q, a, both).keep), 3
    if "blind" in setup.arms:
        others = keeps(lambda q, a: BlindSection().judge(q, a, both).keep)
        others &= keeps(lambda q, a: SwappedSection().judge(q, a, both).keep)
        yield "paper + blind, swapped", others, 7


def _described(
    run: Run, recipe: Recipe, asked: Sequence[Question], reached: Sequence[Question], setup: Setup
) -> Iterator[tuple[str, Flags, int]]:
    """Sets with auditors that describe, and the requests that each of those gets about a question."""
    section = noise_audit.describing(setup)
    read = noise_audit.heard(run, recipe, section, reached)
    judged = noise_audit.judged(run, recipe, section, reached)
    for name, votes, requests in ((DESCRIBED, read, VOTES * (1 + ORDERS)), (JUDGED, judged, VOTES)):
        for rule in RULES:
            yield told(name, rule), _keeps(asked, votes, _by(noise_audit.describing(setup, *rule))), requests


def _keeps(asked: Sequence[Question], replies: Mapping[str, Sequence[Answer]], judge: Judge) -> Flags:
    return np.array([judge(q, replies.get(q.question_id, ())) for q in asked])


def _by(section: AuditorSection) -> Judge:
    return lambda question, votes: section.judge(question, votes).keep


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
    found = measured(LOOKING, RUNS)
    return next(line for line in lines(found) if (line.lies, line.set) == (AT, RECOMMENDED))


def ratio() -> float:
    """Share of wrong labels among the rows kept with auditors that see better than the probe, over the paper's."""
    return _headline().ratio


def recall() -> float:
    """Share of the good perception-hard rows that stay."""
    return _headline().recall


def main() -> None:
    """Measure the set-ups named, and write their tables and plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_noise", description=__doc__)
    known = {setup.name: setup for setup in (LOOKING, STRONGER, EQUAL)}
    parser.add_argument("setups", nargs="*", metavar="SETUP", help=f"of {', '.join(known)}; without any, all")
    parser.add_argument("--keep", type=Path, default=RUNS, help="a folder for the runs, gone on with if they are there")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where experiments.md is (default docs)")
    parser.add_argument("--seed", type=int, help="of the worlds: another than their own, to choose numbers on")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.setups) - set(known)):
        parser.error(f"no set-up named {', '.join(unknown)}; there are {', '.join(known)}")
    for name in arguments.setups or known:
        setup = known[name] if arguments.seed is None else replace(known[name], seed=arguments.seed)
        found = list(lines(measured(setup, arguments.keep)))
        noise_page.write(found, arguments.out)
        print(json.dumps({"setup": name, "lines": len(found)}), flush=True)


if __name__ == "__main__":
    main()
