"""Adapters: where they may be, what verl is told of them, and how they become part of the weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from datagen import micro
from tests.support import training_data
from tests.training.test_chain import recipe
from training import chain, knobs
from training.checkpoints import first_parent, rewriting
from training.knobs import Knobs
from training.on_verl import config, lora, overrides, sft

QWEN2_5_FILE = (
    "visual.blocks.0.mlp.up_proj.weight",
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.q_proj.bias",
)
PATHS = config.Paths((Path("/t"),), (Path("/v"),), Path("/m"), Path("/c"))


def settled(**changes: object) -> Knobs:
    recipe = TrainingRecipe(knobs=KnobChanges.model_validate(changes))
    return knobs.resolve(recipe, StageRun(stage="text"))


def test_adapters_are_in_the_language_model_alone() -> None:
    assert lora.adapted(QWEN2_5_FILE, ["up_proj", "q_proj"]) == [QWEN2_5_FILE[1], QWEN2_5_FILE[3]]
    names = first_parent.tensor_names(micro.checkpoint("start"))
    found = lora.adapted(names, settled().lora_modules)
    assert len(found) == 4 * 7  # four layers
    assert all("language_model" in name for name in found)


def test_verl_is_told_of_adapters_and_that_vllm_has_to_read_the_weights() -> None:
    base, run = knobs.backbone("micro"), StageRun(stage="text")

    def keys(rank: int) -> dict[str, object]:
        recipe = TrainingRecipe(knobs=KnobChanges(lora_rank=rank, lora_modules=("q_proj", "v_proj")))
        return config.config(recipe, base, run, knobs.resolve(recipe, run), PATHS, 1)

    on, off = keys(16), keys(0)
    assert (on["actor_rollout_ref.model.lora_rank"], on["actor_rollout_ref.model.lora_alpha"]) == (16, 32)
    assert on["actor_rollout_ref.model.target_modules"] == ".*language_model.*[.](q_proj|v_proj)"
    assert on["actor_rollout_ref.rollout.load_format"] == "safetensors"
    assert off["actor_rollout_ref.model.lora_rank"] == 0
    assert "actor_rollout_ref.rollout.load_format" not in off  # verl hands over the weights
    assert overrides.identity(on) != overrides.identity(off)
    told = sft.config(TrainingRecipe(), base, StageRun(stage="text", method="sft"), settled(lora_rank=4), PATHS, 1)
    assert (told["model.lora_rank"], told["model.target_modules"]) == (4, settled().lora_targets)


def test_adapters_and_frozen_weights_go_together_where_they_do_not_meet() -> None:
    lora.check(QWEN2_5_FILE, settled(lora_rank=4, freeze="vision"))
    lora.check(QWEN2_5_FILE, settled(freeze="q_proj"))
    with pytest.raises(ValueError, match=r"holds 2 weights that get adapters, as model\.layers\.0\.mlp\.up_proj"):
        lora.check(QWEN2_5_FILE, settled(lora_rank=4, freeze=r"layers\.0\.mlp"))
    with pytest.raises(ValueError, match="lora_modules names k_proj, and its model has no such layers"):
        lora.check(QWEN2_5_FILE, settled(lora_rank=4, lora_modules=["k_proj"]))
    with pytest.raises(ValueError, match="lora_modules"):
        settled(lora_rank=4, lora_modules=["lm_head"])


@pytest.mark.usefixtures("light_preflight")
def test_adapters_in_frozen_weights_are_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training_data.write_stage(tmp_path / "runs/demo/stages", "text")
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "config.json").write_text("{}")
    (parent / "model.safetensors").write_bytes(training_data.weights("weights", QWEN2_5_FILE))
    changed = {"lora_rank": 4, "freeze": "up_proj"}
    with pytest.raises(TrainerError, match=r"Stage text cannot be trained: freeze: 'up_proj' holds 1 weights that get"):
        chain.train(recipe(tmp_path, parent, ("text",), knobs=changed), dry_run=True)
    capsys.readouterr()
    chain.train(recipe(tmp_path, parent, ("text",), knobs={"lora_rank": 4}), dry_run=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "actor_rollout_ref.model.lora_rank=4" in said
    assert "all but" in said


def test_weights_without_an_adapter_are_to_stay_as_they_were() -> None:
    import re

    frozen = lora.frozen(settled(lora_rank=4, lora_modules=["q_proj"]))
    held = [name for name in QWEN2_5_FILE if re.search(frozen, name)]
    assert held == [name for name in QWEN2_5_FILE if name != "model.layers.0.self_attn.q_proj.weight"]
    assert lora.frozen(settled(freeze="norm")) == "norm"
    assert lora.frozen(settled()) == ""


def tiny(folder: Path) -> dict[str, torch.Tensor]:
    """A Qwen2.5-VL of one layer and random weights, saved in `folder`; returns them as its module names them."""
    text = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 32, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))
    model.save_pretrained(folder)
    return {name: value.clone() for name, value in model.state_dict().items()}


def as_verl_saves(folder: Path, weights: dict[str, torch.Tensor], target: Path) -> dict[str, torch.Tensor]:
    """A checkpoint with an adapter on each q_proj, its factors in another file than its weight; returns the factors."""
    target.mkdir()
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    whole, factors = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for name, value in weights.items():
        layer = name.rpartition(".")[0]
        if not layer.endswith("q_proj"):
            whole[f"base_model.model.{name}"] = value
            continue
        whole[f"base_model.model.{layer}.base_layer.{name.rpartition('.')[2]}"] = value
        if name.endswith("weight"):
            factors[f"base_model.model.{layer}.lora_A.default.weight"] = torch.randn(2, value.shape[1])
            factors[f"base_model.model.{layer}.lora_B.default.weight"] = torch.randn(value.shape[0], 2)
    files = {"model-00001-of-00002.safetensors": whole, "model-00002-of-00002.safetensors": factors}
    for name, tensors in files.items():
        save_file(tensors, target / name, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {tensor: name for name, tensors in files.items() for tensor in tensors}}
    (target / rewriting.INDEX).write_text(json.dumps(index))
    return factors


def test_an_adapter_is_added_to_its_weight_and_names_are_those_of_the_published_files(tmp_path: Path) -> None:
    weights = tiny(tmp_path / "parent")
    factors = as_verl_saves(tmp_path / "parent", weights, tmp_path / "saved")
    down, up = factors.values()
    (tmp_path / "merged").mkdir()
    total = rewriting.rewrite(tmp_path / "saved", tmp_path / "merged", 2.0)
    (file,) = (tmp_path / "merged").glob("*.safetensors")  # the other held the factors alone
    before, after = load_file(tmp_path / "parent" / "model.safetensors"), load_file(file)
    assert before.keys() == after.keys()
    assert not weights.keys() <= after.keys()  # this model's files bear other names than its modules
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.allclose(after[name], before[name] + 2.0 * (up @ down), atol=1e-6)
    assert [one for one in before if not torch.equal(before[one], after[one])] == [name]
    said = json.loads((tmp_path / "merged" / rewriting.INDEX).read_text())
    assert said["weight_map"] == dict.fromkeys(after, file.name)
    assert said["metadata"]["total_size"] == total == sum(value.nbytes for value in after.values())


def test_merged_weights_are_rounded_after_they_were_added(tmp_path: Path) -> None:
    weights = {name: value.to(torch.bfloat16).float() for name, value in tiny(tmp_path / "parent").items()}
    as_verl_saves(tmp_path / "parent", weights, tmp_path / "saved")
    for folder in ("whole", "narrow"):
        (tmp_path / folder).mkdir()
    rewriting.rewrite(tmp_path / "saved", tmp_path / "whole", 0.5)
    rewriting.rewrite(tmp_path / "saved", tmp_path / "narrow", 0.5, "bfloat16")
    (whole,), (narrow,) = ([*map(load_file, (tmp_path / name).glob("*.safetensors"))] for name in ("whole", "narrow"))
    assert {value.dtype for value in narrow.values()} == {torch.bfloat16}
    unlike = [name for name in whole if not torch.equal(whole[name], narrow[name].float())]
    assert unlike == ["model.layers.0.self_attn.q_proj.weight"]
    assert torch.allclose(whole[unlike[0]], narrow[unlike[0]].float(), rtol=2**-7)


def test_a_checkpoint_without_the_adapters_it_should_have_is_not_passed_on(tmp_path: Path) -> None:
    weights = tiny(tmp_path / "parent")
    as_verl_saves(tmp_path / "parent", weights, tmp_path / "saved")
    with pytest.raises(ValueError, match="has adapters, and their scale is 0"):
        rewriting.rewrite(tmp_path / "saved", tmp_path, 0.0)
    with pytest.raises(ValueError, match="has no adapters, and their scale is 2"):
        rewriting.rewrite(tmp_path / "parent", tmp_path, 2.0)
