"""How much of the gain do a quarter of the rows give? `python -m benchmarks.subset_compare`.

Rows, start and loop of `refresh_compare`: three stages of 128 rows whose pass rate over 8 replies of the start lies
inside (0, 1), easy to hard, 16 steps of 32 prompts with 8 replies each, so that all arms have the same rollouts:

- `whole`: the 128 rows of each stage, four passes;
- `random`: 32 of them, drawn by the seed, sixteen passes;
- `chosen`: 32 of them, those that `capcurriculum curriculum --take 25%` takes (`curricula.subset`).

Held-out rows are asked after half and after all of the steps of each stage. Every seed is one file in the folder of all
state: stop the command, even with kill -9, and it goes on with the next. Intervals draw seeds and rows anew.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import seeds
from benchmarks.curricula_intervals import Interval, Numbers, interval, table
from benchmarks.curricula_rows import STAGES, Task, rows
from benchmarks.refresh_compare import ROWS, STEPS, evenly, in_band
from capcurriculum.stats import PassRate
from curricula import hashing, subset
from curricula.keys import Keys, Labels

STATE = Path("runs/subset_compare")
ARMS = ("whole", "random", "chosen")
SEEDS = (1, 2, 3)
SHARE = 0.25
_POOL, _FINAL = 320, 400
#: Arm -> point in the training -> stage -> share of right replies by held-out row.
Outcome = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


def take(tasks: Sequence[Task], rates: Mapping[str, PassRate], arm: str, seed: int) -> list[Task]:
    """The rows of an arm, in their order."""
    if arm == "whole":
        return list(tasks)
    if arm == "random":
        drawn = random.Random(f"subset {seed}").sample(range(len(tasks)), round(SHARE * len(tasks)))
        return [tasks[place] for place in sorted(drawn)]
    none, same = np.zeros(len(tasks), dtype=np.int64), Labels.of(pl.Series([""] * len(tasks)))
    key = hashing.text_keys(pl.Series([task.name for task in tasks])).to_numpy()
    keys = Keys(
        taught=STAGES, key=key, stage=none, split=none, k=np.array([rates[task.name].k for task in tasks]),
        n=np.array([rates[task.name].n for task in tasks]), unreadable=none, failed=none, source=same,
        skill=same, unit=key,
    )  # fmt: skip
    return [tasks[place] for place in subset.chosen(np.arange(len(tasks)), keys, SHARE, seed).tolist()]


def run(seed: int, start: Path) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """What the arms of one seed gave."""
    from benchmarks.refresh_training import Training

    pool = rows("needs", {"train": _POOL, "final": _FINAL})
    training = Training(start, pool["final"], seed)
    rates = {stage: training.rates(pool["train"][stage]) for stage in STAGES}
    built = {stage: evenly(in_band(rates[stage], pool["train"][stage]), ROWS) for stage in STAGES}
    before, begun = training.weights(), training.measured()
    outcome = {}
    for arm in ARMS:
        training.restore(before)
        outcome[arm] = {"start": begun}
        for stage in STAGES:
            taught = take(built[stage], rates[stage], arm, seed)
            outcome[arm][f"{stage}, half"] = training.taught(taught, STEPS // 2, 0).final
            outcome[arm][stage] = training.taught(taught, STEPS // 2, 0).final
    return outcome


def finished(folder: Path = STATE) -> list[Outcome]:
    """What is there, a seed each."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("seed-*.json"))]


def _rates(found: Sequence[Outcome], arm: str, point: str, stage: str) -> Numbers:
    return table([one[arm][point][stage] for one in found])


def gain(found: Sequence[Outcome], arm: str, point: str) -> Interval:
    """Mean held-out accuracy of an arm at a point, minus the start's."""
    return interval([_rates(found, arm, point, s) - _rates(found, arm, "start", s) for s in STAGES])


def difference(found: Sequence[Outcome], arm: str, other: str, point: str) -> Interval:
    """Mean held-out accuracy of one arm minus another's at a point."""
    return interval([_rates(found, arm, point, s) - _rates(found, other, point, s) for s in STAGES])


def lines(found: Sequence[Outcome]) -> Iterator[str]:
    """The page: accuracy by arm and point, and the differences at the end."""
    yield "| rollouts | point | " + " | ".join(f"{arm}, mean held-out accuracy" for arm in ARMS) + " |"
    yield "|---|---|" + "---|" * len(ARMS)
    for number, point in enumerate(["start", *(p for s in STAGES for p in (f"{s}, half", s))]):
        cells = [interval([_rates(found, arm, point, s) for s in STAGES]).percent for arm in ARMS]
        yield f"| {number * STEPS // 2 * 256:,} | {point} | {' | '.join(cells)} |"
    yield ""
    for arm in ARMS:
        yield f"{arm}: {gain(found, arm, STAGES[-1]).points} points over the start, {len(found)} seeds."
    for other in ("random", "whole"):
        yield f"chosen minus {other} at the end: {difference(found, 'chosen', other, STAGES[-1]).points} points."


def gain_ratio(folder: Path = STATE) -> float | None:
    """The gain of a chosen quarter of the rows over that of all, at equal rollouts."""
    found = finished(folder)
    if not found:
        print(f"{folder} has no finished seed: run python -m benchmarks.subset_compare.")
        return None
    print("\n".join(lines(found)))
    return gain(found, "chosen", STAGES[-1]).mean / gain(found, "whole", STAGES[-1]).mean


def main() -> None:
    """Train the seeds that are not there, and print the page."""

    def page(folder: Path) -> Iterator[str]:
        return lines(found) if (found := finished(folder)) else iter(())

    seeds.command("benchmarks.subset_compare", __doc__, SEEDS, STATE, run, page)


if __name__ == "__main__":
    from capcurriculum.unforeseen import exit_with

    raise SystemExit(exit_with(main))
