"""The chain without a trainer: what it refuses before it starts, what a dry run prints, where a rerun goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from tests.support import training_data
from training import chain
from training.checkpoints import export
from training.supervise import metrics, supervisor

pytestmark = pytest.mark.usefixtures("light_preflight")

STAGES = ("perception", "text")


def recipe(root: Path, model: Path, stages: tuple[str, ...] = STAGES, **training: Any) -> Recipe:
    return training_data.recipe(
        root, {"model": str(model), "stages": [{"stage": stage} for stage in stages], **training}
    )


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    folder = tmp_path / "parent"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(training_data.weights("weights"))
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    return folder


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for stage in STAGES:
        training_data.write_stage(tmp_path / "runs" / "demo" / "stages", stage, train=20)
    return tmp_path


def stand_in(fail_at: int | None = None) -> Callable[[supervisor.Job], None]:
    """A trainer that leaves verl's files for each step and may die after one; it learns by writing other bytes."""

    def run(job: supervisor.Job) -> None:
        trainer = job.folder / "trainer"
        for step in range(export.last_step(trainer) + 1, 3):
            huggingface = trainer / f"global_step_{step}" / "actor" / "huggingface"
            huggingface.mkdir(parents=True)
            (huggingface / "config.json").write_text("{}")
            (huggingface / "model.safetensors").write_bytes(training_data.weights(f"{job.folder.name} {step}"))
            (huggingface / "generation_config.json").write_text("{}")
            (trainer / "latest_checkpointed_iteration.txt").write_text(str(step))
            job.on_step({"step": step, "data": {"critic/score/mean": 0.5}})
            if step == fail_at:
                raise TrainerError("The trainer broke down: a test.")

    return run


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_verify", lambda *arguments: "A")


def states(root: Path) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = json.loads((root / "runs/demo/training/plan.json").read_text())["stages"]
    return stages


def test_stages_are_chained_and_a_rerun_does_nothing(
    built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None
) -> None:
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built, parent))
    first, second = states(built)
    assert (first["state"], second["state"]) == ("done", "done")
    assert (first["steps_per_epoch"], first["total_steps"], first["rows"]) == (2, 2, 20)
    assert second["parent_digest"] == first["checkpoint_digest"] != first["parent_digest"]
    assert first["parent_digest"] == export.checkpoint_digest(parent)
    folders = [path.name for path in Path(second["checkpoint"]).parent.iterdir() if path.is_dir()]
    assert folders == ["checkpoint"]  # nothing to resume from is left of a stage that is done
    generation = Path(second["checkpoint"], "generation_config.json").read_text()
    assert json.loads(generation) == {"eos_token_id": [1, 2]}

    def never(job: supervisor.Job) -> None:
        raise AssertionError("a finished stage was trained again")

    monkeypatch.setattr(supervisor, "run", never)
    chain.train(recipe(built, parent))
    assert states(built) == [first, second]


def test_what_the_trainer_could_be_resumed_from_is_kept_where_it_is_wanted(
    built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None
) -> None:
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built, parent, keep_trainer_state=True))
    assert (built / "runs/demo/training/text/trainer/global_step_2").is_dir()


def test_a_plan_is_made_where_the_weights_are_not(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = recipe(built, Path("Some/Model-8B"), knobs={"freeze": "vision"})
    chain.train(wanted, dry_run=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "There is no checkpoint 'Some/Model-8B' on this machine" in said
    assert "lengths of prompts, names of frozen weights, memory and disk are unknown without it" in said
    assert "note perception: if rows have pictures, the pixel canary compares trainer and rollout engine" in said
    assert "actor_rollout_ref.model.path=" in said
    assert "Some/Model-8B" in said.split("main_ppo")[1]
    with pytest.raises(TrainerError, match="There is no checkpoint 'Some/Model-8B' on this machine"):
        chain.train(wanted)


def test_a_failed_stage_resumes_after_its_last_checkpoint(
    built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None
) -> None:
    monkeypatch.setattr(supervisor, "run", stand_in(fail_at=1))
    with pytest.raises(TrainerError, match="broke down"):
        chain.train(recipe(built, parent))
    assert [(s["state"], s["error"]) for s in states(built)] == [
        ("failed", "The trainer broke down: a test."),
        ("pending", ""),
    ]
    (built / "runs/demo/training/perception/trainer/global_step_2").mkdir()  # a save that the kill cut short
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built, parent))
    assert [(s["state"], s["attempts"]) for s in states(built)] == [("done", 2), ("done", 1)]
    series = metrics.load(built / "runs/demo/training/metrics.parquet")
    assert series.select("stage", "attempt", "step").rows() == [
        ("perception", 1, 1),
        ("perception", 2, 2),
        ("text", 1, 1),
        ("text", 1, 2),
    ]


def test_ctrl_c_is_resumable(built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None) -> None:
    def interrupted(job: supervisor.Job) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain.train(recipe(built, parent))
    assert states(built)[0]["error"] == "Interrupted; run again to resume."
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built, parent, knobs={"learning_rate": 2e-4}))  # nothing was saved, so nothing binds it
    assert [s["state"] for s in states(built)] == ["done", "done"]


def test_a_trainer_that_ends_early_is_not_done(
    built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None
) -> None:
    monkeypatch.setattr(supervisor, "run", lambda job: None)
    with pytest.raises(TrainerError, match="ended at step 0 of 2 without an error"):
        chain.train(recipe(built, parent))


def test_changes_after_the_beginning_are_refused(
    built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None
) -> None:
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built, parent))
    with pytest.raises(TrainerError, match=r"\(actor_rollout_ref.actor.optim.lr 0.0001 -> 0.0002\)"):
        chain.train(recipe(built, parent, knobs={"learning_rate": 2e-4}))
    chain.train(recipe(built, parent, knobs={"save_every": 1}))
    (parent / "model.safetensors").write_bytes(training_data.weights("other weights"))
    with pytest.raises(TrainerError, match="was begun from a parent checkpoint of digest"):
        chain.train(recipe(built, parent))
    training_data.write_stage(built / "runs/demo/stages", "text", train=24)
    with pytest.raises(TrainerError, match="Stage text was begun"):
        chain.train(recipe(built, parent))


def test_one_training_at_a_time(built: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, no_torch: None) -> None:
    def again(job: supervisor.Job) -> None:
        with pytest.raises(TrainerError, match="Another process is training"):
            chain.train(recipe(built, parent))
        stand_in()(job)

    monkeypatch.setattr(supervisor, "run", again)
    chain.train(recipe(built, parent))


def test_a_dry_run_prints_plan_and_commands_and_writes_nothing(
    built: Path, parent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(built.rglob("*"))
    chain.train(recipe(built, parent), dry_run=True, console=Console())
    out = capsys.readouterr().out
    assert sorted(built.rglob("*")) == before
    assert "perception" in out
    assert "80" in out  # rollouts: 2 steps x 8 prompts x 5
    assert "perception: the pixel canary compares trainer and rollout engine on the pictures of 4 rows" in out
    assert "text: no row has a picture, so the pixel canary has nothing to look at" in out
    commands = [line for line in out.splitlines() if "verl.trainer.main_ppo" in line]
    assert len(commands) == 2
    assert f'actor_rollout_ref.model.path="{built}/runs/demo/training/perception/checkpoint"' in commands[1]
    assert "VERL_PLATFORM=cpu" in commands[0]


def test_what_is_missing_is_said(tmp_path: Path, built: Path, parent: Path) -> None:
    with pytest.raises(TrainerError, match=r"Stage visual has no train files in .*stages/visual; build the run first"):
        chain.train(recipe(built, parent, ("visual",)))
    (parent / "model.safetensors").unlink()
    with pytest.raises(TrainerError, match="is no checkpoint to train from"):
        chain.train(recipe(built, parent))
    with pytest.raises(TrainerError, match="hf download nobody/nothing"):
        chain.train(recipe(built, Path("nobody/nothing")))
    without = recipe(built, parent).model_copy(update={"training": None})
    with pytest.raises(TrainerError, match="no training section"):
        chain.train(without)


def test_importing_the_room_imports_no_trainer() -> None:
    code = (
        "import sys, training, training.plan, training.chain\n"
        "print([name for name in ('torch', 'verl', 'vllm', 'ray', 'transformers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert out.stdout.strip() == "[]"


def test_system_prompt_of_the_rows() -> None:
    for stage in ("perception", "text", "visual"):
        turns = training_data.row(stage, 0, "train")["prompt"]
        assert turns[0] == {"role": "system", "content": prompts.system()}  # type: ignore[index]
