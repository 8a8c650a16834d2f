"""The preflight within a training: what it prints, what it refuses, and which rows the plan then counts."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capcurriculum import cli
from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe, dump
from tests.support import training_data
from tests.training.test_chain import STAGES, stand_in, states
from tests.training.test_chain import recipe as chain_recipe
from training import chain
from training.checkpoints import export
from training.supervise import supervisor

pytestmark = pytest.mark.usefixtures("light_preflight")

#: Every third perception row has 66 tokens, the others 57 or fewer.
DROP: dict[str, Any] = {"knobs": {"max_prompt_tokens": 60}, "preflight": {"overlong": "drop"}}
REFUSE: dict[str, Any] = {"knobs": {"max_prompt_tokens": 60}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built run and a first parent."""
    for stage in STAGES:
        training_data.write_stage(tmp_path / "runs" / "demo" / "stages", stage, train=20)
    folder = tmp_path / "parent"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(training_data.weights("weights"))
    monkeypatch.setattr(export, "_verify", lambda *arguments: "A")
    return tmp_path


def recipe(root: Path, **training: Any) -> Recipe:
    return chain_recipe(root, root / "parent", **training)


def test_a_dry_run_prints_every_finding_and_the_plan_and_refuses(
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (root / "parent" / "model.safetensors").write_bytes(training_data.weights("w")[:-1])
    before = sorted(root.rglob("*"))
    with pytest.raises(TrainerError, match=r"may not start.*There are 1 more kinds of errors above"):
        chain.train(recipe(root, **REFUSE), dry_run=True, console=Console())
    said = capsys.readouterr().out
    assert "prompts have more than 60 tokens (max_prompt_tokens)" in said
    assert "is not usable: model.safetensors has" in said
    assert "verl.trainer.main_ppo" in said
    assert sorted(root.rglob("*")) == before


def test_errors_are_exit_code_two(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = root / "recipe.yaml"
    file.write_text(dump(recipe(root, **REFUSE)))
    assert cli.main(["train", str(file), "--dry-run"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_refused_training_leaves_its_report_and_no_plan(root: Path) -> None:
    with pytest.raises(TrainerError, match="may not start"):
        chain.train(recipe(root, **REFUSE), console=Console(quiet=True))
    folder = root / "runs/demo/training"
    told = json.loads((folder / "preflight.json").read_text())
    assert next((one["check"], one["severity"], one["count"]) for one in told["findings"]) == ("overlong", "error", 7)
    assert told["sets"]["perception"]["overlong"] == 7
    assert not (folder / "plan.json").exists()


def test_the_plan_counts_the_rows_that_remain(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs: list[supervisor.Job] = []

    def run(job: supervisor.Job) -> None:
        jobs.append(job)
        stand_in()(job)

    monkeypatch.setattr(supervisor, "run", run)
    asked = recipe(root, **DROP | {"knobs": {"max_prompt_tokens": 60, "epochs": 2, "max_steps": 2}})
    chain.train(asked, console=Console(quiet=True))
    first, second = states(root)
    assert (first["rows"], first["steps_per_epoch"], first["total_steps"]) == (14, 1, 2)
    assert second["rows"] == 20
    data = root / "runs/demo/training/perception/data"
    assert f'data.train_files=["{data}/train-00000-of-00001.parquet"]' in jobs[0].command
    assert first["dataset_digest"] == json.loads((data / "made.json").read_text())["digest"]
    chain.train(asked, console=Console(quiet=True))  # nothing is left to do, and nothing differs
    assert len(jobs) == 2


def test_a_begun_stage_goes_on_with_the_same_rows_though_their_files_are_gone(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = recipe(root, **DROP | {"knobs": {"max_prompt_tokens": 60, "epochs": 2, "max_steps": 2}})
    monkeypatch.setattr(supervisor, "run", stand_in(fail_at=1))
    with pytest.raises(TrainerError, match="broke down"):
        chain.train(asked, console=Console(quiet=True))
    shutil.rmtree(root / "runs/demo/training/perception/data")
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(asked, console=Console(quiet=True))
    assert [stage["state"] for stage in states(root)] == ["done", "done"]
    with pytest.raises(TrainerError, match="was begun"):
        chain.train(recipe(root, **REFUSE | {"knobs": {"max_prompt_tokens": 99, "epochs": 2, "max_steps": 2}}))


def test_too_few_rows_that_remain_are_said_beside_the_findings(
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = recipe(root, **DROP | {"knobs": {"max_prompt_tokens": 50}})
    with pytest.raises(TrainerError, match=r"Stage perception has 7 training rows and a batch needs 8"):
        chain.train(asked, dry_run=True)
    assert "are left out; 7 training and 2 validation rows remain" in capsys.readouterr().out
