"""Which weights a freeze names, and what is refused before anything is loaded (test_verl.py freezes some)."""

import json
from pathlib import Path

import pytest

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from datagen import micro
from tests.support import training_data
from tests.training.test_chain import recipe
from training import chain, knobs
from training.checkpoints import first_parent
from training.on_verl import config, freeze, overrides

QWEN3 = ("model.visual.blocks.0.attn.qkv.weight", "model.visual.merger.norm.bias", "model.language_model.norm.weight")
QWEN2_5_FILE = ("visual.patch_embed.proj.weight", "model.layers.0.mlp.up_proj.weight", "lm_head.weight")
INTERNVL = (
    "model.vision_tower.encoder.layer.0.norm.weight",
    "model.multi_modal_projector.linear_1.weight",
    "lm_head.w",
)


@pytest.mark.parametrize(("names", "count"), [(QWEN3, 2), (QWEN2_5_FILE, 1), (INTERNVL, 1)])
def test_vision_is_the_vision_tower_of_each_family_and_in_each_naming(names: tuple[str, ...], count: int) -> None:
    assert freeze.chosen(names, "vision") == list(names[:count])


def test_an_expression_is_searched_for_anywhere_in_a_name() -> None:
    assert freeze.chosen(QWEN3, r"merger|language_model\.norm") == list(QWEN3[1:])
    assert freeze.expression("") == ""
    assert freeze.expression("norm") == "norm"


@pytest.mark.parametrize(("expression", "which"), [("audio", "none"), (r"\.", "all")])
def test_an_expression_that_finds_nothing_or_everything_is_refused(expression: str, which: str) -> None:
    with pytest.raises(ValueError, match=f"is found in {which} of the model's 3 parameters"):
        freeze.chosen(QWEN3, expression)


def test_names_come_from_the_files_headers() -> None:
    names = first_parent.tensor_names(micro.checkpoint("start"))
    assert len(names) == 97
    assert 0 < len(freeze.chosen(names, "vision")) < 97
    assert "__metadata__" not in names


def test_a_file_that_is_no_safetensors_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(TrainerError, match=r"model\.safetensors is no safetensors file; fetch the checkpoint again"):
        first_parent.tensor_names(tmp_path)


@pytest.mark.usefixtures("light_preflight")
def test_a_freeze_that_fits_no_weight_stops_the_training_before_it_starts(tmp_path: Path) -> None:
    training_data.write_stage(tmp_path / "runs/demo/stages", "text")
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "config.json").write_text("{}")
    (parent / "model.safetensors").write_bytes(training_data.weights("weights", QWEN3))
    with pytest.raises(TrainerError, match=r"Stage text cannot be trained: freeze: 'audio' is found in none"):
        chain.train(recipe(tmp_path, parent, ("text",), knobs={"freeze": "audio"}), dry_run=True)
    chain.train(recipe(tmp_path, parent, ("text",), knobs={"freeze": "vision"}), dry_run=True)


def test_the_expression_is_part_of_what_is_learned_and_travels_with_ray() -> None:
    paths = config.Paths((Path("/t"),), (Path("/v"),), Path("/m"), Path("/c"))

    def keys(expression: str) -> dict[str, object]:
        settings, run = TrainingRecipe(knobs=KnobChanges(freeze=expression)), StageRun(stage="text")
        return config.config(settings, knobs.backbone("micro"), run, knobs.resolve(settings, run), paths, 1)

    frozen, merger, thawed = keys("vision"), keys("merger"), keys("")
    assert f"ray_kwargs.ray_init.runtime_env.env_vars.{freeze.VARIABLE}" in frozen
    assert frozen["actor_rollout_ref.model.external_lib"] == "training.on_verl.freeze_hook"
    assert thawed["actor_rollout_ref.model.external_lib"] == "training.on_verl.patches.mends_hook"
    told = [json.dumps(overrides.identity(one), sort_keys=True) for one in (frozen, merger, thawed)]
    assert len(set(told)) == 3


def test_a_process_without_the_expression_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(freeze.VARIABLE, raising=False)
    with pytest.raises(RuntimeError, match="a stage with frozen weights must not go on"):
        freeze.install()
