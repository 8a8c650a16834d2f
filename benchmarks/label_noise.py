"""Wrong labels that each set of filters lets in, and good rows that it costs: `python -m benchmarks.label_noise`.

Definitions, over the questions of one build whose scenes are known:

- A label is wrong if the marked answer is not true in the *image*: another answer is (a false label), or none is, since
  the question asks about what only the caption tells of (a void one).
- A row is a good perception-hard one if its label is right and the paper's rule keeps it: every solver wrong from the
  image and right from the caption, in the order of the options in which the question is written. Recall counts those.
- A world with a share s of lying captions is the build's own rows, of which half lie, weighted: lying ones by s/share,
  true ones by (1-s)/(1-share). Every filter here judges a row by itself, so this is what such a world gives.
- Where a set-up says so (`good`), auditors are asked about all rows with wrong labels that the paper's rule keeps, and
  about a random part of the others, which count for all of these.
- Requests are those a build with that set would make for 1,000 captions: one to the teacher, the arms and orders that
  the set reads, and votes on what the filters before let through; of auditors that describe, descriptions and readings.

Intervals are 95 % percentiles of 2,000 bootstrap draws of whole rows, lying and true ones apart.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import noise_page
from benchmarks.noise_rules import AT, RECOMMENDED, Kind
from benchmarks.noise_sets import Build, FilterSet, Flags, Numbers, sets
from benchmarks.noise_world import EQUAL, LOOKING, STRONGER, Setup, built, truth

RUNS = Path("runs") / "label_noise"
SHARES = (0.0, 0.05, 0.10, 0.20)
BOOTSTRAPS = 2000


@dataclass(frozen=True, slots=True)
class Measured:
    """A build with its truth: per question whether its caption lies, whether its label is right, and what is kept."""

    setup: str
    lied: Flags
    true: Flags
    void: Flags
    sets: tuple[FilterSet, ...]
    counted: Numbers | float = 1.0

    def weights(self, share: float) -> Numbers:
        """What each question counts in a world with this share of lies."""
        own = self.lied.mean()
        return self.counted * np.where(self.lied, share / own, (1 - share) / (1 - own))


@dataclass(frozen=True, slots=True)
class Line:
    """One set in one world; pairs are 95 % intervals, `ratio` is the wrong labels' share over the paper's own.

    `false_kept` and `void_kept` are the shares of the paper's false and void labels that the set keeps too.
    """

    setup: str
    lies: float
    set: str
    kind: Kind
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
    build = Build(setup, run, recipe, asked, true)
    return Measured(setup.name, lied, true, void, tuple(sets(build)), build.counted)


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
                kind=each.kind,
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
    return next(line for line in lines(found) if (line.lies, line.set) == (AT, str(RECOMMENDED)))


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
