"""verl itself with adapters: captions, then GRPO from the merged weights, on a CPU, with a falling learning rate."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from capcurriculum.recipe import Recipe
from datagen import micro
from tests.support import training_data
from tests.support.installed import needs
from training import chain, knobs
from training.checkpoints import export, first_parent
from training.on_verl import lora
from training.supervise import metrics

pytestmark = pytest.mark.slow
needs("verl", extra="train")

RANK, ALPHA, RATE, LEAST = 4, 8, 1e-3, 0.1


def recipe(root: Path) -> Recipe:
    falling = {"learning_rate": RATE, "schedule": "cosine", "min_lr_ratio": LEAST}
    return training_data.recipe(
        root,
        {
            "stages": [
                {"stage": "perception", "method": "sft", "knobs": {"batch_size": 4, "update_micro_batch": 4}},
                {"stage": "visual", "knobs": {"freeze": "vision", "offload_parameters": True}},
            ],
            "knobs": {"max_steps": 2, "max_response_tokens": 32, "save_every": 1, **falling}
            | {"lora_rank": RANK, "lora_alpha": ALPHA, "lora_modules": ["q_proj", "v_proj", "down_proj"]},
            "keep_trainer_state": True,  # the adapters are looked at below
        },
    )


@pytest.mark.timeout(1800)
def test_a_chain_of_adapters_trains_for_real(tmp_path: Path) -> None:
    for stage in ("perception", "visual"):
        training_data.write_stage(tmp_path / "runs/demo/stages", stage)
    training_data.write_captions(tmp_path / "runs" / "demo", "perception")
    chain.train(recipe(tmp_path))
    folder = tmp_path / "runs/demo/training"
    captions, visual = json.loads((folder / "plan.json").read_text())["stages"]
    assert (captions["state"], visual["state"]) == ("done", "done")
    assert visual["parent_digest"] == captions["checkpoint_digest"] == export.checkpoint_digest(exported(captions))
    start = Path(micro.checkpoint("start"))
    adapted = lora.adapted(first_parent.tensor_names(start), ("q_proj", "v_proj", "down_proj"))
    for before, stage in ((start, captions), (exported(captions), visual)):
        old, new = weights(before), weights(exported(stage))
        assert old.keys() == new.keys()
        assert [name for name in old if not torch.equal(old[name], new[name])] == sorted(adapted)
    saved = load_file(folder / "visual/trainer/global_step_2/actor/huggingface/model.safetensors")
    same_predictions(exported(captions), saved, exported(visual))
    steps = metrics.load(folder / "metrics.parquet")
    rates = [step for name in ("train/lr", "actor/lr") for step in steps[name].drop_nulls().to_list()]
    assert rates == pytest.approx([RATE * (1 + LEAST) / 2, RATE * LEAST] * 2)  # of the step to come
    rewarded = steps.filter(pl.col("stage") == "visual")
    first, second = rewarded["training/rollout_probs_diff_mean"].to_list()
    assert second < 3 * first  # vLLM has the adapters, which are 0 before the first step and no more before the second
    assert rewarded["actor/kl_loss"].to_list()[0] == 0 < rewarded["actor/kl_loss"].to_list()[1]  # against none


def exported(stage: dict[str, Any]) -> Path:
    return Path(stage["checkpoint"])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """In full precision and by name; the start is kept in bfloat16."""
    (path,) = folder.glob("*.safetensors")
    return {name: value.float() for name, value in sorted(load_file(path).items())}


def same_predictions(parent: Path, saved: dict[str, torch.Tensor], merged: Path) -> None:
    """The merged weights say of a text what the parent says with the adapters that verl saved."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict  # only here: they take long to import
    from transformers import AutoModelForImageTextToText

    training = recipe(parent).training
    assert training is not None
    settled = knobs.resolve(training, training.stages[1])
    model = AutoModelForImageTextToText.from_pretrained(parent, dtype=torch.float32)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=settled.lora_targets)
    model = get_peft_model(model, config)
    factors = {name.replace(".default", ""): value for name, value in saved.items() if "lora_" in name}
    assert not set_peft_model_state_dict(model, factors).unexpected_keys
    words = torch.arange(4, 36).unsqueeze(0)
    with torch.inference_mode():
        bare = model.get_base_model()
        said = bare(input_ids=words).logits.log_softmax(-1)
        with model.disable_adapter():
            without = bare(input_ids=words).logits.log_softmax(-1)
        whole = AutoModelForImageTextToText.from_pretrained(merged, dtype=torch.float32)
        told = whole(input_ids=words).logits.log_softmax(-1)
    assert (said - without).abs().max() > 1e-3
    assert (said - told).abs().max() < 1e-4
