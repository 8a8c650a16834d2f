"""InternVL in verl: what the hooks change, the large checkpoints in preflight, and a tiny one trained on two ranks."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors import safe_open

from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.torchvision_shim import ensure_torchvision
from tests.support import training_data
from tests.support.installed import needs
from tests.support.preflight_data import settings
from tests.training.on_verl.test_verl import killing_after_a_step, states
from training import chain, supported_models
from training.checkpoints import first_parent
from training.on_verl import freeze
from training.on_verl.patches.internvl import collapsed
from training.preflight.inspection import Inspection
from training.preflight.machine import memory, weights
from training.preflight.machine.model import model_size
from training.preflight.rows.lengths import Lengths
from training.stages import Links
from training.supervise import metrics, supervisor

ensure_torchvision()
tiny_internvl = pytest.importorskip("tests.support.tiny_internvl")

IMAGE, START, END = 7, 8, 9


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([1, 8, 7, 7, 7, 9, 2], [1, 7, 2]),
        ([8, 7, 9, 8, 7, 7, 9], [7, 7]),  # two pictures side by side stay two
        ([1, 2, 3], [1, 2, 3]),
        ([8, 1, 9], [8, 1, 9]),  # brackets that the text itself has
        ([8, 7, 7, 9, 9], [7, 9]),
        ([], []),
    ],
)
def test_a_prompt_for_vllm_has_one_token_a_picture(tokens: list[int], kept: list[int]) -> None:
    assert collapsed(tokens, IMAGE, START, END) == kept


def test_the_hooks_are_loaded_for_this_processor_alone() -> None:
    assert supported_models.variables("InternVLProcessor", "cuda") == {
        "VERL_USE_EXTERNAL_MODULES": "training.on_verl.patches.internvl"
    }
    assert supported_models.variables("InternVLProcessor", "cpu") == {
        "VERL_USE_EXTERNAL_MODULES": "training.on_verl.cpu_platform,training.on_verl.patches.internvl"
    }
    assert supported_models.variables("Qwen3VLProcessor", "cpu") == supported_models.variables("", "cuda") == {}


def large(root: Path, name: str, **training: Any) -> Recipe:
    """A recipe over small stages for a large backbone."""
    for stage in ("perception", "text", "visual"):
        training_data.write_stage(root / "runs/demo/stages", stage, train=512)
    section = {"backbone": name, "model": str(root / "model"), "stages": ["perception", "text", "visual"], **training}
    return training_data.recipe(root, section)


@pytest.mark.parametrize(("name", "billions"), [("internvl3_8b", 7.94), ("internvl3_5_8b", 8.53)])
def test_a_large_checkpoint_passes_preflight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, billions: float
) -> None:
    monkeypatch.setattr(Inspection, "files", lambda self, data: data.files)
    folder = tiny_internvl.released(tmp_path / "model", name)
    made = large(tmp_path, name)
    assert made.training is not None
    links = Links(made, made.training)
    assert weights.faults(folder) == []
    size = model_size(folder)
    assert size is not None
    assert size.parameters / 1e9 == pytest.approx(billions, abs=0.005)
    for number, link in enumerate(links.links):
        keys = links.config(link, folder, 1)
        assert (
            keys["ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES"]
            == "training.on_verl.patches.internvl"
        )
        assert links.variables(number)["VERL_USE_EXTERNAL_MODULES"] == "training.on_verl.patches.internvl"
        needed = links.need(number)
        assert memory.faults(memory.need(size, needed, 8), needed, 80) == ([], [])
    frozen = freeze.chosen(first_parent.tensor_names(folder), "vision")
    assert {one.split(".")[0] for one in frozen} == {"vision_tower"}  # the projector is trained, as in the release


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tiles_are_counted_by_arithmetic_as_they_are_cut(tmp_path: Path) -> None:
    folder = tiny_internvl.released(tmp_path, "internvl3_8b")
    counted = Lengths(settings(folder, {"data.min_pixels": 262144, "data.max_pixels": 4194304}))
    assert counted.disagreements() == []
    turns = [{"role": "user", "content": "<image>What is it?"}]
    square, wide = (counted.count(turns, [size]).image_tokens for size in ((448, 448), (1600, 1200)))
    assert (square, wide) == (256 + 2, 13 * 256 + 2)  # one tile; 4 x 3 and the whole; and two brackets


def recipe(root: Path) -> Recipe:
    return training_data.recipe(
        root,
        {
            "model": str(root / "model"),
            "gpus": 2,
            "stages": [
                {"stage": "perception", "method": "sft", "knobs": {"batch_size": 4, "update_micro_batch": 2}},
                {"stage": "visual", "knobs": {"freeze": "vision"}},
                "text",
            ],
            "knobs": {
                "max_steps": 2,
                "max_response_tokens": 32,
                "save_every": 1,
                "update_micro_batch": 1,  # so that one rank has a picture where the other has none
                "log_prob_micro_batch": 1,
            },
        },
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_tiny_one_trains_on_two_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions, then pictures with a frozen tower, killed once, then rows with and without pictures."""
    needs("verl", extra="train")
    stages = tmp_path / "runs/demo/stages"
    for stage in ("perception", "visual", "merged"):
        training_data.write_stage(stages, stage)
    (stages / "merged").rename(stages / "text")
    training_data.write_captions(tmp_path / "runs/demo", "perception")
    start = tiny_internvl.write(tmp_path / "model")
    known = [training_data.row("visual", number, "train") for number in range(16)]
    assert tiny_internvl.teach(start, [*known, *(training_data.row("text", n, "train") for n in range(8))]) < 0.1
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "run", killing_after_a_step(supervisor.run))
        with pytest.raises(TrainerError, match="was killed by SIGKILL"):
            chain.train(recipe(tmp_path))
    chain.train(recipe(tmp_path))
    captions, visual, text = states(tmp_path)
    assert [stage["attempts"] for stage in (captions, visual, text)] == [1, 2, 1]
    told, frozen, trained = (tensors(Path(stage["checkpoint"])) for stage in (captions, visual, text))
    assert told.keys() == frozen.keys() == trained.keys() == tensors(start).keys()
    moved = {name for name in told if told[name] != frozen[name]}
    assert {name for name in told if name.startswith("vision_tower.")} == told.keys() - moved  # all else is trained
    assert all(frozen[name] != trained[name] for name in trained)
    steps = metrics.load(tmp_path / "runs/demo/training/metrics.parquet").filter(pl.col("stage") != "perception")
    seen = steps.filter(pl.col("step") > 0)
    assert seen["prompt_length/max"].max() == 62  # as preflight counts them
    # A picture that one of the two does not see, or sees elsewhere, makes these tenths.
    assert seen["training/rollout_probs_diff_max"].max() < 1e-3
    assert seen["rollout_corr/log_ppl_abs_diff"].max() < 1e-3


def tensors(folder: Path) -> dict[str, bytes]:
    """The bytes of each weight."""
    (path,) = folder.glob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).float().numpy().tobytes() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
