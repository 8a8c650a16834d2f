"""A comparison that was stopped goes on with what is not finished."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks import curricula_compare as compare
from benchmarks.curricula_arms import ARMS
from benchmarks.curricula_rows import VERSIONS
from benchmarks.curricula_state import START, Job, State
from capcurriculum.errors import RunError
from tests.support.curricula_outcomes import outcome

STARTS = [Job(version, START, 0.0, 0) for version in ("needs", "control")]


def names(state: State, seeds: tuple[int, ...] = (1, 2)) -> list[str]:
    return [job.name for job in compare.ready(state, seeds)]


def finish(state: State, wanted: Callable[[Job], bool], gain: float = 0.1) -> None:
    while jobs := [job for job in compare.ready(state, (1, 2)) if wanted(job)]:
        for job in jobs:
            state.save(job, outcome(gain, gain, gain, spare=job.arm != START and job.seed == 0))


def test_a_training_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    state, job = State(tmp_path), Job("needs", "capability x difficulty", 3e-4, 2)
    assert not state.done(job)
    state.save(job, outcome(0.1, 0.2, 0.3))
    assert state.done(job)
    assert state.load(job) == outcome(0.1, 0.2, 0.3)
    assert list(state.finished()) == [(job, outcome(0.1, 0.2, 0.3))]


def test_what_the_contrast_needs_comes_first_and_learning_rates_before_seeds(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert names(state) == [job.name for job in STARTS]
    finish(state, lambda job: job.arm == START)
    assert names(state)[:6] == [
        f"needs-{arm}-lr{rate}-seed0" for arm in ("staged_1-2-3", "merged") for rate in ("0.0001", "0.0002", "0.0003")
    ]
    best = Job("needs", "merged", 2e-4, 0)
    state.save(best, outcome(0.3, 0.3, 0.3, spare=True))
    finish(state, lambda job: job.seed == 0)
    assert compare.chosen(state, "merged") == 2e-4
    assert compare.chosen(state, "difficulty") == 1e-4
    todo = names(state)
    assert todo[:4] == [f"{version}-stage_1_alone-lr0.0001-seed{seed}" for seed in (1, 2) for version in VERSIONS]
    assert todo[4:8] == [
        f"needs-{arm}-seed{seed}" for seed in (1, 2) for arm in ("staged_1-2-3-lr0.0001", "merged-lr0.0002")
    ]
    assert len(todo) == len(set(todo)) == 2 * 2 * (len(ARMS) + 1)
    finish(state, lambda job: True)
    assert names(state) == []


def test_other_knobs_and_damaged_files_are_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.agree({"prompts": 32, "rates": (1e-4, 2e-4)})
    state.agree({"prompts": 32, "rates": (1e-4, 2e-4)})
    with pytest.raises(RunError, match=r"made with another prompts \(32, now 16\).*--state"):
        state.agree({"prompts": 16, "rates": (1e-4, 2e-4)})
    (tmp_path / "trainings").mkdir()
    (tmp_path / "trainings" / f"{STARTS[0].name}.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        list(state.finished())


class Trainings:
    """A comparison whose trainings take no time, and of which one kills its process."""

    def __init__(self, state: State, killed: str = "") -> None:
        self.state, self.killed = state, killed

    def run(self, job: Job) -> None:
        if job.name == self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        self.state.save(job, outcome(0.1, 0.1, 0.1, spare=job.arm != START and job.seed == 0))


def work(trainings: Trainings, minutes: float = 60.0) -> list[Job]:
    return compare.work(cast(Any, trainings), (1,), 2, minutes)


def test_a_killed_process_loses_its_training_alone_and_the_same_command_makes_it(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert work(Trainings(state), minutes=0.0) == []
    assert list(state.finished()) == []
    lost = Job("needs", "difficulty", 2e-4, 0)
    assert work(Trainings(state, killed=lost.name)) == [lost]
    finished = {job for job, _ in state.finished()}
    assert lost not in finished
    assert Job("control", "merged", 1e-4, 1) in finished
    before = (state.folder / "trainings" / f"{STARTS[0].name}.json").stat().st_mtime_ns
    assert work(Trainings(state)) == []
    assert Job("control", "difficulty", 1e-4, 1) in {job for job, _ in state.finished()}
    assert (state.folder / "trainings" / f"{STARTS[0].name}.json").stat().st_mtime_ns == before
