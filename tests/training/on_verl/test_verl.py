"""verl itself: it reads our rows as they are, and trains two chained stages of the micro model on a CPU."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors import safe_open

from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from datagen import micro
from tests.support import training_data
from tests.support.installed import needs
from tests.support.trainer_scripts import ran
from training import chain, selection
from training.checkpoints import export, first_parent
from training.on_verl.freeze import VISION
from training.supervise import live_view, metrics, processes, supervisor

pytestmark = pytest.mark.slow
needs("verl", extra="train")

READ_ROWS = """
import json, sys
from omegaconf import OmegaConf
from verl.utils import hf_processor, hf_tokenizer
from training.on_verl.dataset import LimitedImages
model, files = sys.argv[1], sys.argv[2:]
config = OmegaConf.create(dict(max_prompt_length=512, filter_overlong_prompts=False, image_key="images",
                               truncation="error", image_patch_size=16, min_pixels=16384, max_pixels=20000))
for file in files:
    rows = LimitedImages(file, hf_tokenizer(model), config, hf_processor(model))
    row = rows[0]
    def parts(turn):
        content = turn["content"]  # verl makes parts of every turn of a row that has a picture
        return content if isinstance(content, list) else [{"type": "text", "text": content}]
    system, user = row["raw_prompt"]
    pictures = LimitedImages._process_multi_modal_info(row["raw_prompt"], 16, config)[0] or []
    print(json.dumps({"rows": len(rows), "role": system["role"], "system": [part["text"] for part in parts(system)],
                      "user": [part["type"] for part in parts(user)], "options": list(row["extra_info"]["options"]),
                      "sizes": [picture.size for picture in pictures]}))
"""


@pytest.mark.timeout(300)
def test_the_system_prompt_is_the_same_bytes_in_rows_and_in_verl(tmp_path: Path) -> None:
    files = [training_data.write_stage(tmp_path, s) / "train-00000-of-00001.parquet" for s in ("perception", "text")]
    said = ran(READ_ROWS, micro.checkpoint("start"), *files)
    picture, text = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    for row in (picture, text):
        assert (row["role"], row["system"]) == ("system", [prompts.system()])
        assert row["rows"] == 16
    assert picture["user"] == ["image", "text"]
    assert text["user"] == ["text"]
    assert (picture["sizes"], text["sizes"]) == ([[128, 128]], [])  # 64 x 64 before, within the limits now
    assert len(picture["options"]) == 4
    assert text["options"] == []


def recipe(root: Path) -> Recipe:
    return training_data.recipe(
        root,
        {
            "stages": [
                {"stage": "perception", "method": "sft", "knobs": {"batch_size": 4, "update_micro_batch": 4}},
                {"stage": "visual", "select": "best", "knobs": {"freeze": "vision"}},
                "text",
            ],
            "knobs": {"max_steps": 2, "max_response_tokens": 32, "save_every": 1, "validate_every": 2},
            "keep_trainer_state": True,  # the optimizer's is looked at below
        },
    )


def states(root: Path) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = json.loads((root / "runs/demo/training/plan.json").read_text())["stages"]
    return stages


@pytest.mark.timeout(3600)
def test_chained_stages_train_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions by the supervised trainer, then GRPO with frozen vision, killed once, then GRPO with nothing frozen."""
    stages = tmp_path / "runs/demo/stages"
    for stage in ("perception", "visual", "merged"):
        training_data.write_stage(stages, stage)
    (stages / "merged").rename(stages / "text")  # batches of rows with and without pictures
    training_data.write_captions(tmp_path / "runs" / "demo", "perception")
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "run", killing_after_a_step(supervisor.run))
        with pytest.raises(TrainerError, match="was killed by SIGKILL"):
            chain.train(recipe(tmp_path))
    assert [stage["state"] for stage in states(tmp_path)] == ["done", "failed", "pending"]
    chain.train(recipe(tmp_path))
    captions, first, second = states(tmp_path)
    assert [stage["attempts"] for stage in (captions, first, second)] == [1, 2, 1]
    assert captions["parent_digest"] == export.checkpoint_digest(micro.checkpoint("start"))
    for before, stage in ((captions, first), (first, second)):
        assert stage["state"] == "done"
        assert stage["parent_digest"] == before["checkpoint_digest"]
        folder = Path(stage["checkpoint"]).parent
        steps = metrics.load(folder.parent / "metrics.parquet").filter(pl.col("stage") == stage["stage"])
        assert steps["step"].to_list() == [0, 1, 2]  # validated before the first step
        assert steps["attempt"].to_list() == ([1, 1, 2] if stage is first else [1, 1, 1])
        dumped = [json.loads(line) for line in (folder / "validation" / "2.jsonl").read_text().splitlines()]
        assert all(one["question_id"] and one["outcome"] for one in dumped)
        steps = steps.filter(pl.col("step") > 0)
        for shown in live_view.SHOWN:
            assert steps[shown.metric].is_between(0, float("inf")).all(), shown
        score = 0.9 * steps["reward/accuracy"] + 0.1 * steps["reward/format"]
        assert (steps["critic/score/mean"] - score).abs().max() < 1e-6
        assert list(selection.accuracies(steps)) == [2]
        assert stage["selected_step"] == 2
        assert stage["reply"]
        assert processes.belonging(folder) == set()
        assert not supervisor.scratch(folder).exists()
    losses = metrics.load(tmp_path / "runs/demo/training/metrics.parquet")["train/loss"].drop_nulls().to_list()
    assert losses[1] < losses[0]
    start, told, frozen, trained = map(vision, (Path(captions["parent"]), *map(exported, (captions, first, second))))
    assert changed(told, start) == []
    assert frozen == told  # bit for bit
    assert changed(trained, frozen) == []
    tensors = len(first_parent.tensor_names(exported(second)))
    assert [optimized(exported(stage)) for stage in (captions, first, second)] == [
        tensors,
        tensors - len(start),
        tensors,
    ]
    reload(exported(second))
    monkeypatch.setattr(supervisor, "run", never)
    chain.train(recipe(tmp_path))
    assert states(tmp_path) == [captions, first, second]


def exported(stage: Mapping[str, Any]) -> Path:
    return Path(stage["checkpoint"])


def changed(after: Mapping[str, bytes], before: Mapping[str, bytes]) -> list[str]:
    """The weights that training should have changed and did not."""
    return [name for name, value in after.items() if "weight" in name and value == before[name]]


def vision(folder: Path) -> dict[str, bytes]:
    """The bytes of the vision tower's weights in full precision (the start is kept in bfloat16)."""
    (path,) = folder.glob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        names = filter(re.compile(VISION).search, file.keys())
        return {name: file.get_tensor(name).float().numpy().tobytes() for name in names}


def optimized(checkpoint: Path) -> int:
    """How many tensors the optimizer of the checkpoint's last step holds state for."""
    code = (
        "import sys, torch, torch.distributed.tensor\n"
        "print(len(torch.load(sys.argv[1], weights_only=False, map_location='cpu')['state']))"
    )
    (file,) = (checkpoint.parent / "trainer/global_step_2").rglob("optim_world_size_1_rank_0.pt")
    return int(ran(code, file))


def killing_after_a_step(run: Callable[[supervisor.Job], None]) -> Callable[[supervisor.Job], None]:
    """The trainer, killed when it has told of its first step."""

    def killed(job: supervisor.Job) -> None:
        def on_step(step: Mapping[str, Any]) -> None:
            job.on_step(step)
            if not step["step"]:  # the validation before the first
                return
            for pid in processes.belonging(job.folder):
                if b"verl.trainer.main_ppo" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

        run(dataclasses.replace(job, on_step=on_step))

    return killed


def never(job: supervisor.Job) -> None:
    raise AssertionError("a finished stage was trained again")


def reload(folder: Path) -> None:
    """The checkpoint answers when transformers loads it, in a process of its own."""
    code = (
        "import sys; from capcurriculum.torchvision_shim import ensure_torchvision; ensure_torchvision()\n"
        "from transformers import AutoModelForImageTextToText as M, AutoProcessor as P\n"
        "p, m = P.from_pretrained(sys.argv[1]), M.from_pretrained(sys.argv[1])\n"
        "x = p.tokenizer('What is 1 + 1?', return_tensors='pt')\n"
        "assert m.generate(**x, max_new_tokens=4).shape[1] > x['input_ids'].shape[1]\n"
    )
    environ = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
