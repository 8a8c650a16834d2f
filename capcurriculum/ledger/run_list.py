"""The runs below a folder: what each holds, how far its trainings are, and what is working on it right now."""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import CapCurriculumError, RunError
from capcurriculum.files import json_file
from capcurriculum.ledger import query
from capcurriculum.run import Run

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run.

    `stages` maps a stage to its rows for training, validation and test, `trainings` a training to its stages' states,
    where a stage that is running and has no process is `stopped`. `working` says what processes of this machine do with
    it, `last` is its last event with the time, and `damage` why the rest is not known, "" if nothing is wrong.
    """

    name: str
    stages: dict[str, tuple[int, ...]]
    trainings: dict[str, dict[str, str]]
    working: tuple[str, ...]
    last: str
    damage: str = ""


def runs(folder: Path) -> list[RunLine]:
    """The runs below a folder, by name.

    Raises:
        RunError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunError(f"There is no folder {folder}; name the folder that `runs` of your recipes names.")
    return [_line(Run(path.parent)) for path in sorted(folder.glob("[!.]*/recipe.yaml"))]


def _line(run: Run) -> RunLine:
    working = tuple(_working(run.path))
    try:
        stages = _stages(run)
        trainings = {plan.parent.name: _states(plan) for plan in run.plans}
        last = list(run.events())[-1:]
    except (CapCurriculumError, OSError, ValueError, TypeError, AttributeError) as error:
        return RunLine(run.path.name, {}, {}, working, "", str(error))
    said = f"{last[0].get('event')}, {str(last[0].get('time', ''))[:16]}" if last else ""
    return RunLine(run.path.name, stages, trainings, working, said)


def _stages(run: Run) -> dict[str, tuple[int, ...]]:
    if not any(query.stage_files(run).values()):
        return {}
    _, rows = query.query(run, "select stage, split, count(*) from stages group by all")
    found: dict[str, dict[str, int]] = {}
    for stage, split, count in rows:
        found.setdefault(str(stage), {})[str(split)] = int(str(count))
    return {
        stage: tuple(found[stage].get(split, 0) for split in SPLITS) for stage in run.recipe().taught if stage in found
    }


def _states(plan: Path) -> dict[str, str]:
    stages = json_file.mapping(plan).get("stages", [])
    states = {str(stage.get("stage")): str(stage.get("state")) for stage in stages}
    stopped = not _held(plan.parent / ".lock")
    return {stage: "stopped" if stopped and state == "running" else state for stage, state in states.items()}


def _working(run: Path) -> Iterator[str]:
    """What holds a lock below the run, as far as locks of this file system tell."""
    if _held(run / ".lock"):
        yield "build"
    shards = sorted(path.name.removeprefix(".lock-") for path in run.glob(".lock-*-of-*") if _held(path))
    if shards:
        yield f"build, shards {', '.join(shards)}"
    for folder in (run / "training", *sorted(run.glob("trainings/*"))):
        if _held(folder / ".lock"):
            yield "training" if folder.name == "training" else f"training {folder.name}"
    if _held(run / "evaluation" / ".lock"):
        yield "evaluation"


def _held(lock: Path) -> bool:
    """Whether a process holds a lock for itself alone; looked at for a moment, and never taken from anybody."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
