"""Two GRPO steps of a small model of each family by its own backbone file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from safetensors import safe_open

from capcurriculum.recipe import Recipe
from tests.support import tiny_models, training_data
from tests.support.installed import needs
from training import chain
from training.on_verl.freeze import VISION
from training.supervise import metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs("verl", extra="train")

#: What one CPU holds, and steps so large that rollouts by the weights of before the first would be told in the second.
KNOBS = {
    "max_steps": 2, "batch_size": 8, "mini_batch_size": 8, "tokens_per_gpu": 0, "update_micro_batch": 20,
    "log_prob_micro_batch": 20, "max_prompt_tokens": 512, "max_response_tokens": 32, "min_pixels": 3136,
    "save_every": 2, "validate_every": 2, "val_rollouts": 1, "learning_rate": 1e-3, "epochs": 1,
}  # fmt: skip


def recipe(root: Path, backbone: str, model: Path, freeze: str) -> Recipe:
    training = {
        "backbone": backbone,
        "model": str(model),
        "device": "cpu",
        "gpus": 1,
        "stages": ["visual"],
        "knobs": KNOBS | {"freeze": freeze},
        "verl": {"actor_rollout_ref.actor.entropy_coeff": 0.1},  # no reply of a random model is right
    }
    return training_data.recipe(root, training)


@pytest.mark.parametrize(
    ("make", "backbone", "freeze"),
    [
        (tiny_models.qwen2_5_vl, "qwen2_5_vl_7b", ""),
        (tiny_models.qwen3_vl, "qwen3_vl_8b", ""),
        (tiny_models.qwen3_5, "qwen3_5_9b", "vision"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_small_model_takes_two_steps(
    make: Callable[[Path], Path], backbone: str, freeze: str, tmp_path: Path
) -> None:
    stages = tmp_path / "runs/demo/stages"
    training_data.write_stage(stages, "merged").rename(stages / "visual")  # rows with and without pictures
    start = make(tmp_path / "start")
    chain.train(recipe(tmp_path, backbone, start, freeze))
    folder = tmp_path / "runs/demo/training"
    (stage,) = json.loads((folder / "plan.json").read_text())["stages"]
    assert stage["reply"]  # transformers has loaded it
    agreed(metrics.load(folder / "metrics.parquet"))
    before, after = tensors(start), tensors(Path(stage["checkpoint"]))
    assert after.keys() == {name for name in before if not name.startswith("mtp.")}
    large = {name for name in after if name.endswith("weight")}  # of a few numbers rounding may give all back
    still = {name for name in large if after[name] == before[name]}
    assert still == {name for name in large if freeze and re.search(VISION, name)}
    asked = [json.loads(line)["input"] for line in (folder / "visual/validation/2.jsonl").read_text().splitlines()]
    thinks = "<think>\n\n</think>\n\n" if backbone.startswith("qwen3_5") else ""
    assert all(prompt.endswith(f"assistant\n{thinks}") for prompt in asked)


def agreed(steps: pl.DataFrame) -> None:
    """Trainer and rollouts agree in the second step, whose weights are far from the start's."""
    steps = steps.filter(pl.col("step") > 0)
    assert steps["step"].to_list() == [1, 2]
    apart, moved = steps["rollout_corr/k3_kl"].max(), steps["actor/kl_loss"].to_list()[1]
    assert steps["training/rollout_actor_probs_pearson_corr"].min() > 0.97
    assert apart < 0.02  # bfloat16 here and there
    assert moved > 5 * apart


def tensors(folder: Path) -> dict[str, bytes]:
    """The bytes of all weights in full precision."""
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            found |= {name: file.get_tensor(name).float().numpy().tobytes() for name in file.keys()}  # noqa: SIM118
    return found
