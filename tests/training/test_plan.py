"""The plan: arithmetic, digests, what a rerun may change and what it refuses, and files that are never half written."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import TrainerError
from training import plan
from training.plan import StagePlan, State


def stage(name: str = "perception", state: State = State.PENDING, **changes: Any) -> StagePlan:
    config = changes.pop("config", {"actor.lr": 1e-6})
    base = StagePlan(
        stage=name,
        state=state,
        dataset_digest="d1",
        config_digest=plan.config_digest(config),
        config=config,
        rows=20,
        batch_size=8,
        rollouts=5,
        epochs=1,
        steps_per_epoch=2,
        total_steps=2,
    )
    return dataclasses.replace(base, **changes)


def test_the_papers_steps() -> None:
    for rows, steps in ((3360, 90), (13181, 375), (16195, 465)):
        assert plan.total_steps(rows, 512, 15, None, "s") == (steps // 15, steps)


def test_an_incomplete_batch_is_no_step_and_max_steps_caps() -> None:
    assert plan.total_steps(15, 8, 3, None, "s") == (1, 3)
    assert plan.total_steps(80, 8, 3, 4, "s") == (10, 4)


def test_too_few_rows_are_refused_with_the_mend() -> None:
    with pytest.raises(TrainerError, match=r"Stage text has 7 training rows and a batch needs 8; lower training.knobs"):
        plan.total_steps(7, 8, 1, None, "text")


def test_save_and_load(tmp_path: Path) -> None:
    file = tmp_path / "training" / "plan.json"
    stages = [stage(state=State.DONE, checkpoint="c"), stage("text")]
    plan.save(file, "demo", stages)
    assert plan.load(file) == stages
    assert [s["state"] for s in json.loads(file.read_text())["stages"]] == ["done", "pending"]
    assert [path.name for path in file.parent.iterdir()] == ["plan.json"]


def test_no_file_is_no_plan_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert plan.load(file) == []
    file.write_text('{"version": 1, "stages": [{')
    with pytest.raises(TrainerError, match=r"is damaged .*; move it away"):
        plan.load(file)
    file.write_text('{"version": 99, "stages": []}')
    with pytest.raises(TrainerError, match="has version 99"):
        plan.load(file)


def test_stages_that_have_not_begun_follow_the_recipe() -> None:
    done = stage(state=State.DONE, checkpoint="c")
    drafted = [stage(), stage("text", rows=99, dataset_digest="new")]
    assert plan.reconcile(drafted, [done, stage("text")]) == [done, drafted[1]]


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.FAILED])
def test_changed_data_of_a_begun_stage_is_refused(state: State) -> None:
    with pytest.raises(TrainerError, match=r"Stage perception was begun \(\w+\) with other data: 20 rows, .*24"):
        plan.reconcile([stage(dataset_digest="d2", rows=24)], [stage(state=state)])


def test_changed_configuration_names_the_keys() -> None:
    changed = stage(config={"actor.lr": 1e-5, "data.n": 1})
    with pytest.raises(TrainerError, match=r"\(actor.lr 1e-06 -> 1e-05, data.n None -> 1\); restore it"):
        plan.reconcile([changed], [stage(state=State.RUNNING)])


def test_a_chain_in_another_order_is_refused() -> None:
    with pytest.raises(TrainerError, match="began with the stages perception, and the recipe now lists text"):
        plan.reconcile([stage("text"), stage()], [stage(state=State.DONE)])
    assert plan.reconcile([stage("text"), stage()], [stage()])[0].stage == "text"


def test_digest_of_files_is_of_names_and_bytes_and_not_of_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    first = plan.files_digest([a, b])
    assert plan.files_digest([b, a]) == first
    b.write_bytes(b"3")
    assert plan.files_digest([a, b]) != first
