"""The comparison of curricula as a section of docs/experiments.md, and its curves.

The words are computed from the intervals, so that they cannot say more than the numbers: an arm is called better than
the reference only where the interval of the paired difference excludes zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.curricula_arms import ARMS, FIRST, REFERENCE, STAGED
from benchmarks.curricula_intervals import Interval, interval, table
from benchmarks.curricula_records import Outcome
from benchmarks.curricula_rows import STAGES, VERSIONS
from benchmarks.curricula_state import START, Job
from training.supervise import curves

BEGIN, END = "<!-- curricula_compare: begin -->", "<!-- curricula_compare: end -->"
PLOT = "curricula_compare"
#: Seeds and half-width, in points, that the contrast was meant to have.
WANTED_SEEDS, WANTED_POINTS = 5, 2.5

Finished = Sequence[tuple[Job, Outcome]]
#: Seed -> the finished training.
Seeds = Mapping[int, Outcome]


def write(finished: Finished, docs: Path, more: Sequence[str] = ()) -> None:
    """Replace what stands between the marks of `experiments.md` with the page and `more`, and draw the curves."""
    file = docs / "experiments.md"
    text = file.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    series = _series(finished)
    lines = ["", *_lines(finished), *more]
    if series:
        curves.draw(series, docs / PLOT)
        lines += [
            f"![Held-out accuracy, reward and length on the rows of `{VERSIONS[0]}`, means over seeds]({PLOT}.png)",
            "",
        ]
    told = "\n".join(lines)
    file.write_text(f"{head}{BEGIN}\n{told}{END}{tail}", encoding="utf-8")


def measured(finished: Finished, version: str, arm: str) -> dict[int, Outcome]:
    """Seed -> the arm's trainings of a version that have a final measurement."""
    return {job.seed: one for job, one in finished if (job.version, job.arm) == (version, arm) and one.final}


def contrast(finished: Finished) -> tuple[Interval, list[int]] | None:
    """Staged 1-2-3 minus merged on the visual rows of `needs`, a share, and the seeds it comes from."""
    base, other = (measured(finished, VERSIONS[0], arm) for arm in (REFERENCE, STAGED))
    return difference(base, other, ["visual"])


def difference(base: Seeds, other: Seeds, stages: Sequence[str]) -> tuple[Interval, list[int]] | None:
    """What `other` has over `base` on the stages, each as much, row by row and seed by seed; None without a seed."""
    seeds = sorted(base.keys() & other.keys())
    if not seeds:
        return None
    tables = [_rates(other, seeds, stage) - _rates(base, seeds, stage) for stage in stages]
    return interval(tables), seeds


def _rates(found: Seeds, seeds: Sequence[int], stage: str) -> np.ndarray:
    return table([found[seed].final[stage].rates for seed in seeds])


def _lines(finished: Finished) -> Iterator[str]:
    yield from (*_contrast(finished), "")
    yield from (*_first_stage(finished), "")
    for version in VERSIONS:
        yield from _version(finished, version)


def _contrast(finished: Finished) -> Iterator[str]:
    """The one contrast that was written down before, in words."""
    found = contrast(finished)
    if found is None:
        yield "**The contrast.** No seed has both arms yet."
        return
    gain, seeds = found
    arms = [measured(finished, VERSIONS[0], arm) for arm in (REFERENCE, STAGED)]
    single = [difference({s: arms[0][s]}, {s: arms[1][s]}, ["visual"]) for s in seeds]
    by_seed = ", ".join(f"{100 * one[0].mean:+.1f}" for one in single if one)
    yield (
        f"**The contrast.** {STAGED} minus {REFERENCE} on the visual rows of `{VERSIONS[0]}`: {gain.points} points; "
        f"by seed {by_seed}. {_verdict(gain, STAGED, REFERENCE)}"
    )
    short = [f"a half-width of {100 * gain.half_width:.1f} points instead of {WANTED_POINTS} at most"]
    short = short if 100 * gain.half_width > WANTED_POINTS else []
    short += [f"{len(seeds)} seeds instead of {WANTED_SEEDS}"] if len(seeds) < WANTED_SEEDS else []
    yield f"Half-width {100 * gain.half_width:.1f} points, {len(seeds)} seeds." + (
        f" It falls short of what was wanted: {' and '.join(short)}." if short else ""
    )
    if len(seeds) == 1:
        yield "With one seed the interval speaks of the rows only, and says nothing of what another seed would give."


def _verdict(gain: Interval, arm: str, base: str) -> str:
    if gain.clear:
        return f"The interval excludes zero: {arm} is {'above' if gain.mean > 0 else 'below'} {base} here."
    return (
        f"The interval holds zero: no difference was found, and none between {100 * gain.low:+.1f} and "
        f"{100 * gain.high:+.1f} points is excluded."
    )


def _first_stage(finished: Finished) -> Iterator[str]:
    """What stage 1 alone does to the visual rows of either version: whether they are what they are meant to be."""
    after = {version: measured(finished, version, FIRST) for version in VERSIONS}
    starts = {job.version: one for job, one in finished if job.arm == START}
    seeds = sorted(set.intersection(*(set(found) for found in after.values())))
    if not seeds or starts.keys() != set(VERSIONS):
        return
    gains = {
        version: [
            _rates(found, seeds, stage) - _rates(dict.fromkeys(seeds, starts[version]), seeds, stage)
            for stage in ("perception", "visual")
        ]
        for version, found in after.items()
    }
    (perception, needs), (_, control) = gains.values()
    more = interval([needs - control])
    yield (
        f"**Stage 1 alone**, points above the start, {len(seeds)} seeds: perception {interval([perception]).points}; "
        f"visual rows of `needs` {interval([needs]).points}, of `control` {interval([control]).points}; `needs` more "
        f"than `control` by {more.points}: "
        + ("stage 1 teaches what `needs` needs." if more.low > 0 else "that `needs` gains more is not shown.")
    )


def _version(finished: Finished, version: str) -> Iterator[str]:
    """The tables of a version."""
    start = next((one for job, one in finished if (job.version, job.arm) == (version, START)), None)
    arms = {arm: measured(finished, version, arm) for arm in ARMS}
    arms = {arm: seeds for arm, seeds in arms.items() if seeds}
    if start is None or not arms:
        return
    yield f"#### Version `{version}`"
    sizes = ", ".join(f"{len(start.final[stage].rates)} {stage}" for stage in STAGES)
    told = "; ".join(f"{arm}: {', '.join(map(str, sorted(seeds)))}" for arm, seeds in arms.items())
    same = len({tuple(sorted(seeds)) for seeds in arms.values()}) == 1
    yield from ("", f"Seeds {told.split(': ')[1].split(';')[0] if same else told}. Held-out rows: {sizes}.", "")
    yield (
        "| arm | learning rate | rollouts | "
        + " | ".join(f"{s} right" for s in STAGES)
        + " | mean | readable | tokens |"
    )
    yield "|" + "---|" * (len(STAGES) + 6)
    yield _row(START, "", [start])
    for arm, seeds in arms.items():
        rates = {f"{job.rate:g}" for job, one in finished if (job.version, job.arm) == (version, arm) and one.final}
        yield _row(arm, ", ".join(sorted(rates)), list(seeds.values()))
    yield from (
        "",
        *_differences(START, {arm: (dict.fromkeys(seeds, start), seeds) for arm, seeds in arms.items()}),
        "",
    )
    if base := arms.get(REFERENCE):
        others = {arm: (base, seeds) for arm, seeds in arms.items() if arm != REFERENCE}
        yield from (*_differences(REFERENCE, others), "")
    if any(len(seeds) == 1 for seeds in arms.values()):
        yield "Where an arm has one seed, intervals speak of the rows only, and say nothing of what another would give."
    if missing := [arm for arm in ARMS if arm not in arms]:
        yield f"Not trained in this version: {', '.join(missing)}. The same command goes on with them."
    yield ""


def _row(arm: str, rate: str, own: Sequence[Outcome]) -> str:
    shares = [interval([table([one.final[stage].rates for one in own])]) for stage in STAGES]
    mean = interval([table([one.final[stage].rates for one in own]) for stage in STAGES])
    readable = np.mean([one.final[stage].readable for one in own for stage in STAGES])
    tokens = np.mean([one.final[stage].tokens for one in own for stage in STAGES])
    cells = " | ".join(share.percent for share in [*shares, mean])
    return f"| {arm} | {rate} | {own[0].rollouts:,} | {cells} | {100 * readable:.1f} % | {tokens:.1f} |"


def _differences(base: str, pairs: Mapping[str, tuple[Seeds, Seeds]]) -> Iterator[str]:
    """Each arm against the base, in points, and what that says."""
    yield f"| against {base}, points | {' | '.join(STAGES)} | mean of the stages | seeds |"
    yield "|" + "---|" * (len(STAGES) + 3)
    clear, tests = [], 0
    for arm, (before, after) in pairs.items():
        parts = {name: difference(before, after, [name]) for name in STAGES}
        found = {name: one for name, one in (parts | {"the mean": difference(before, after, STAGES)}).items() if one}
        if found:
            tests += len(found)
            clear += [
                f"{arm} {'above' if i.mean > 0 else 'below'} on {name}" for name, (i, _) in found.items() if i.clear
            ]
            count = len(found["the mean"][1])
            yield f"| {arm} | {' | '.join(gain.points for gain, _ in found.values())} | {count} |"
    yield ""
    if clear:
        yield (
            f"Against {base} these intervals exclude zero: {'; '.join(clear)}. Of {tests} such intervals about "
            f"{0.05 * tests:.1f} would by chance."
        )
    elif tests:
        yield f"No interval against {base} excludes zero: no difference was found at this size."


def _series(finished: Finished) -> dict[str, pl.DataFrame]:
    """Arm -> its steps on the rows of `needs`, means over the finished seeds."""
    start = next((one for job, one in finished if (job.version, job.arm) == (VERSIONS[0], START)), None)
    found = {arm: list(measured(finished, VERSIONS[0], arm).values()) for arm in ARMS}
    return {arm: _frame(own, start) for arm, own in found.items() if own}


def _frame(own: Sequence[Outcome], start: Outcome | None) -> pl.DataFrame:
    def held_out(step: int, stage: str) -> float | None:
        curve = [start.curve] if step == 0 and start else [one.curve for one in own]
        return float(np.mean([one[step][stage].accuracy for one in curve])) if step in curve[0] else None

    steps = range(len(own[0].steps) + 1)
    means = {
        metric: [None, *(float(np.mean([getattr(one.steps[n], name) for one in own])) for n in steps[:-1])]
        for metric, name in (
            ("critic/score/mean", "reward"),
            ("reward/accuracy", "accuracy"),
            ("response_length/mean", "length"),
        )
    }
    curve = {f"val-core/{stage}/accuracy/mean@1": [held_out(step, stage) for step in steps] for stage in STAGES}
    return pl.DataFrame({"stage": ["all"] * len(steps), "step": list(steps)} | means | curve)
