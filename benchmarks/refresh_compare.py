"""Does a curriculum that follows the model find more to learn from? `python -m benchmarks.refresh_compare`.

Perception, then text, then visual problems that need stage 1 (`curricula_rows`), from the model of
`curricula_start`. A stage has 128 rows whose pass rate over 8 replies of the start lies inside (0, 1), as a build keeps
them, easy to hard. Two arms share stage 1 and go on from it:

- `as built`: 16 steps on these rows in each further stage;
- `refreshed`: before each further stage the model answers its rows 8 times each. Rows outside (0, 1) are left out and
  the rest ordered anew; what that took is taken off the steps, so that both arms have the same number of rollouts.

Every seed is one file in the folder of all state: stop the command, even with kill -9, and it goes on with the next.
Intervals of accuracy draw seeds and rows anew (`curricula_intervals`), that of the ratio is Student's over seeds.
"""

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import seeds
from benchmarks.curricula_intervals import Interval, Numbers, interval, table
from benchmarks.curricula_rows import STAGES, Task, rows
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.stats import PassRate
from datagen.early_stopping import keeps

STATE = Path("runs/refresh_compare")
ARMS = ("as built", "refreshed")
SEEDS = (1, 2, 3, 4, 5)
ROWS, STEPS, RATE = 128, 16, 2e-4
_POOL, _FINAL = 320, 400
_BAND = RolloutSection(model="policy", k=8, above=0.0, below=1.0)
#: Two-sided 95 % quantiles of Student's t by degrees of freedom (any table of them).
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """One stage of one arm: rows it was taught, rollouts of refresh and steps, what the steps and held-out rows showed.

    `mixed` is the share of prompts whose replies differ in reward, the mean over the steps. `final` maps each stage to
    the share of right replies by held-out row.
    """

    rows: int
    refresh_rollouts: int
    rollouts: int
    mixed: float
    final: dict[str, dict[str, float]]


def in_band(rates: Mapping[str, PassRate], tasks: Sequence[Task]) -> list[Task]:
    """The rows that the band keeps, easy to hard; rows of the same rate stay in their order."""
    measured = [task for task in tasks if rates[task.name].measured(_BAND.readable)]
    kept = [task for task in measured if keeps(rates[task.name].rate, _BAND)]
    return sorted(kept, key=lambda task: -rates[task.name].rate)


def run(seed: int, start: Path) -> dict[str, dict[str, StageOutcome]]:
    """Arm -> stage -> what it gave, of one seed."""
    from benchmarks.refresh_training import Training

    pool = rows("needs", {"train": _POOL, "final": _FINAL})
    training = Training(start, pool["final"], seed)
    built = {stage: in_band(training.rates(pool["train"][stage]), pool["train"][stage]) for stage in STAGES}
    built = {stage: evenly(tasks, ROWS) for stage, tasks in built.items()}
    first = training.taught(built[STAGES[0]], STEPS, 0)
    after = training.weights()
    outcome: dict[str, dict[str, StageOutcome]] = {}
    for arm in ARMS:
        training.restore(after)
        outcome[arm] = {STAGES[0]: first}
        for stage in STAGES[1:]:
            tasks, spent = built[stage], 0
            if arm == "refreshed":
                tasks, spent = in_band(training.rates(tasks), tasks), len(tasks) * _BAND.k
            outcome[arm][stage] = training.taught(tasks, STEPS, spent)
    return outcome


def evenly(tasks: Sequence[Task], wanted: int) -> list[Task]:
    """So many of the rows, evenly over their order."""
    assert len(tasks) >= wanted, f"{len(tasks)} rows are inside the band, and {wanted} are wanted"
    return [tasks[place * len(tasks) // wanted] for place in range(wanted)]


def finished(folder: Path = STATE) -> dict[int, dict[str, dict[str, StageOutcome]]]:
    """Seed -> arm -> stage of what is there."""
    found: dict[int, dict[str, dict[str, StageOutcome]]] = {}
    for file in sorted(folder.glob("seed-*.json")):
        data: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        found[int(file.stem.partition("-")[2])] = {
            arm: {stage: StageOutcome(**one) for stage, one in stages.items()} for arm, stages in data.items()
        }
    return found


def mixed_ratio(found: Mapping[int, Mapping[str, Mapping[str, StageOutcome]]]) -> Interval | None:
    """The share of groups with a gradient in the further stages, refreshed over as built; None with one seed."""
    logs = []
    for arms in found.values():
        built, new = (statistics.mean(arms[arm][stage].mixed for stage in STAGES[1:]) for arm in ARMS)
        logs.append(math.log(new / built))
    if len(logs) < 2:
        return None
    mean = statistics.mean(logs)
    half = _STUDENT[min(len(logs) - 1, max(_STUDENT))] * statistics.stdev(logs) / math.sqrt(len(logs))
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def gain(
    found: Mapping[int, Mapping[str, Mapping[str, StageOutcome]]], after: str, of: Sequence[str] = STAGES
) -> Interval | None:
    """Held-out accuracy after a stage, refreshed minus as built, the mean over the stages `of`; None without seeds."""
    if not found:
        return None

    def rates(arm: str, stage: str) -> Numbers:
        return table([arms[arm][after].final[stage] for arms in found.values()])

    return interval([rates("refreshed", stage) - rates("as built", stage) for stage in of])


def lines(found: Mapping[int, Mapping[str, Mapping[str, StageOutcome]]]) -> Iterator[str]:
    """The page: what each arm's stages gave, and the differences."""
    yield "| stage | arm | rows | rollouts of its steps | of its refresh | groups with a gradient | held-out accuracy |"
    yield "|---|---|---|---|---|---|---|"
    each = list(found.values())
    for stage in STAGES:
        for arm in ARMS if stage != STAGES[0] else ARMS[:1]:
            own = [one[arm][stage] for one in each]
            right = interval([table([one.final[s] for one in own]) for s in STAGES])
            taught, mixed = statistics.mean(one.rows for one in own), [one.mixed for one in own]
            counts = f"{taught:.0f} | {own[0].rollouts:,} | {own[0].refresh_rollouts:,}"
            shares = f"{statistics.mean(mixed):.1%} ({min(mixed):.1%} to {max(mixed):.1%})"
            yield f"| {stage} | {arm if stage != STAGES[0] else 'both'} | {counts} | {shares} | {right.percent} |"
    yield ""
    if (ratio := mixed_ratio(found)) is not None:
        yield (
            f"Groups with a gradient, refreshed over as built: {ratio.mean:.3f} ({ratio.low:.3f} to {ratio.high:.3f}), "
            f"{len(each)} seeds."
        )
    for stage in STAGES[1:]:
        told = "; ".join(f"{s} {found_gain.points}" for s in STAGES if (found_gain := gain(found, stage, [s])))
        total = gain(found, stage)
        assert total is not None
        yield f"Held-out accuracy after {stage}, refreshed minus as built, points: mean {total.points}; {told}."


def mixed_low(folder: Path = STATE) -> float | None:
    """The lower end of the interval of `mixed_ratio`."""
    ratio = mixed_ratio(finished(folder))
    if ratio is None:
        print(f"{folder} has not two finished seeds: run python -m benchmarks.refresh_compare.")
        return None
    print(f"groups with a gradient, refreshed over as built: {ratio.mean:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    return ratio.low


def final_gain(folder: Path = STATE) -> float | None:
    """Mean held-out accuracy at the end, refreshed minus as built, in points; printed with its interval."""
    found = gain(finished(folder), STAGES[-1])
    if found is None:
        print(f"{folder} has no finished seed: run python -m benchmarks.refresh_compare.")
        return None
    print(f"held-out accuracy at the end, refreshed minus as built: {found.points} points")
    return 100 * found.mean


def main() -> None:
    """Train the seeds that are not there, and print the page."""

    def train(seed: int, start: Path) -> object:
        return {arm: {s: asdict(one) for s, one in stages.items()} for arm, stages in run(seed, start).items()}

    def page(folder: Path) -> Iterator[str]:
        return lines(found) if (found := finished(folder)) else iter(())

    seeds.command("benchmarks.refresh_compare", __doc__, SEEDS, STATE, train, page)


if __name__ == "__main__":
    from capcurriculum.unforeseen import exit_with

    raise SystemExit(exit_with(main))
