"""The processes of a refresh: what they are told, what becomes of their errors, and that none is left."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import RefreshSection, StageRun, TrainingRecipe
from capcurriculum.run import Run
from tests.support import training_data
from training.knobs import backbone, resolve
from training.refresh import task as refreshing
from training.refresh import workers
from training.refresh.task import Task
from training.stage_files import StageFiles
from training.supervise import processes


def task(root: Path, program: str = "", device: str = "cpu", base: str = "micro") -> Task:
    """A refresh whose processes run a shell script instead of Python."""
    script = root / "python"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    recipe = training_data.recipe(root, {"backbone": base})
    knobs = resolve(TrainingRecipe(backbone=base), StageRun(stage="text"))
    return Task(
        stage="text",
        run=Run(root / "runs/demo"),
        recipe=recipe,
        files=StageFiles("text", (), (), 0, ""),
        folder=root / "text/refresh",
        section=RefreshSection(),
        checkpoint=root / "checkpoint",
        name="training/perception",
        model=refreshing.model(recipe, backbone(base), knobs, device, root / "checkpoint"),
        sampling=refreshing.sampling(knobs),
        batch=8,
        workers=1,
        python=str(script),
        environment={"PATH": os.environ["PATH"]},
    )


def work(root: Path) -> Path:
    folder = root / "text/.refresh.work"
    folder.mkdir(parents=True)
    return folder


def test_on_gpus_vllm_runs_the_checkpoint_as_the_trainer_does(tmp_path: Path) -> None:
    section = task(tmp_path, device="cuda", base="qwen3_vl_8b").model
    knobs = resolve(TrainingRecipe(backbone="qwen3_vl_8b"), StageRun(stage="text"))
    assert (section.engine, section.model) == ("vllm", str(tmp_path / "checkpoint"))
    assert (section.min_pixels, section.max_pixels, section.pixel_multiple) == (knobs.min_pixels, knobs.max_pixels, 32)
    assert section.vllm.max_model_len == knobs.max_prompt_tokens + knobs.max_response_tokens
    assert section.vllm.dtype == "bfloat16"
    assert task(tmp_path).model.engine == "transformers"
    thinking = task(tmp_path, device="cuda", base="qwen3_5_9b").model
    assert thinking.chat_template_kwargs == {"enable_thinking": False}


def test_an_endpoint_cannot_serve_a_checkpoint_so_transformers_runs_it(tmp_path: Path) -> None:
    models = {"m": {"engine": "openai", "model": "x", "base_urls": ["http://127.0.0.1:1/v1"]}}
    recipe = training_data.recipe(tmp_path, {}, models=models)
    knobs = resolve(TrainingRecipe(), StageRun(stage="text"))
    assert refreshing.model(recipe, backbone("micro"), knobs, "cpu", tmp_path).engine == "transformers"


def test_answers_of_another_checkpoint_or_of_other_sampling_have_another_name(tmp_path: Path) -> None:
    one = task(tmp_path)
    warm = dataclasses.replace(one, sampling=dataclasses.replace(one.sampling, temperature=0.5))
    names = {one.solver("a"), one.solver("b"), warm.solver("a")}
    assert len(names) == 3
    assert all(name.startswith("training/perception@") for name in names)


def test_the_error_of_a_process_is_its_sentence(tmp_path: Path) -> None:
    told = task(tmp_path, 'echo "The model is odd; mend it." > "$(dirname "$3")/error-0.txt"; exit 2')
    with pytest.raises(TrainerError, match=r"^The model is odd; mend it."):
        workers.ask(told, "s", work(tmp_path))


def test_a_process_that_breaks_down_is_said_with_its_log_and_the_others_are_ended(tmp_path: Path) -> None:
    program = 'case "$4" in 0/2) sleep 600;; *) echo "CudaError: no room" >&2; exec >&2; exit 7;; esac'
    broken = dataclasses.replace(task(tmp_path, f"exec 2>&1; {program}"), workers=2)
    with pytest.raises(
        TrainerError, match=r"ended with code 7 \(CudaError: no room\); see .*refresh.log, and run again"
    ):
        workers.ask(broken, "s", work(tmp_path))
    assert processes.belonging(broken.folder) == set()


def test_each_process_gets_its_share_and_its_gpus(tmp_path: Path) -> None:
    wanted = task(tmp_path, 'echo "$4 $CUDA_VISIBLE_DEVICES" > "$(dirname "$3")/said-${4%/*}"', "cuda", "qwen3_vl_8b")
    folder = work(tmp_path)
    assert wanted.model.vllm.tensor_parallel_size == 1
    workers.ask(dataclasses.replace(wanted, workers=2), "solver", folder)
    assert [(folder / f"said-{n}").read_text().split() for n in range(2)] == [["0/2", "0"], ["1/2", "1"]]
    visible = dataclasses.replace(wanted, workers=2, environment={**wanted.environment, "CUDA_VISIBLE_DEVICES": "6,7"})
    workers.ask(visible, "solver", folder)
    assert (folder / "said-1").read_text().split()[1:] == ["7"]
    job = json.loads((folder / "job.json").read_text())
    assert (job["solver"], job["rollouts"]["k"], job["rollouts"]["stop"]) == ("solver", 8, "dropped")
    assert job["sampling"]["temperature"] == 1.0
