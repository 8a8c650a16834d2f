"""verl's part of `benchmarks.engines`: the rows and the reward as verl loads them."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def score() -> list[float | None]:
    """The scores of the replies on stdin, by the function that verl finds under the path of its configuration."""
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    import training.reward

    told = {"path": training.reward.__file__, "name": "compute_score", "reward_kwargs": {}}
    function = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": told}}))
    scores = []
    for row in map(json.loads, sys.stdin):
        extra = {"options": row["options"], "kind": row["kind"]}
        found = function("", row["reply"], row["ground_truth"], extra)
        scores.append(None if found["outcome"] == "failed" else found["score"])
    return scores


def show(files: str, model: str, *limits: str) -> dict[str, Any]:
    """The tokens and the pixels that a rollout of each row begins with; limits of area as a recipe's knobs set them."""
    from omegaconf import OmegaConf
    from verl.utils import hf_processor, hf_tokenizer
    from verl.utils.dataset.rl_dataset import RLHFDataset
    from verl.utils.tokenizer.continuous_token import QwenVLContinuousTokenBuilder

    from training.on_verl.dataset import LimitedImages

    told = {"max_prompt_length": 1024, "filter_overlong_prompts": False, "truncation": "error"}
    config = OmegaConf.create(told | dict(zip(("min_pixels", "max_pixels"), map(int, limits), strict=False)))
    tokenizer, processor = hf_tokenizer(model), hf_processor(model)
    builder = QwenVLContinuousTokenBuilder(tokenizer, processor)
    ids, pixels = [], []
    for row in (LimitedImages if limits else RLHFDataset)(files, tokenizer, config, processor):
        patch = processor.image_processor.patch_size
        images, *_ = RLHFDataset._process_multi_modal_info(row["raw_prompt"], patch, config)
        extra: dict[str, Any] = {}
        ids.append(builder.build_initial_tokens(row["raw_prompt"], images=images, mm_inputs_out=extra))
        pixels.append(_digests(extra))
    return {"ids": ids, "pixels": pixels}


def train(files: str, model: str, folder: str) -> dict[str, Any]:
    """Two steps by `capcurriculum.training` on the rows, which it takes for a stage's."""
    from rich.console import Console

    from capcurriculum.recipe import parse
    from training import chain, plan

    stage = Path(folder) / "runs/engines/stages/visual"
    stage.mkdir(parents=True)
    for split in ("train", "val"):
        shutil.copy(files, stage / f"{split}-00000-of-00001.parquet")
    knobs = {"max_steps": 2, "save_every": 2, "batch_size": 8, "mini_batch_size": 8}
    data = {
        "name": "engines",
        "runs": str(stage.parents[2]),
        "models": {"m": {"engine": "transformers", "model": "micro:start"}},
        "rollouts": {"model": "m"},
        "visual": {"source": {"kind": "scenes"}},
        "training": {"backbone": "micro", "model": model, "stages": [{"stage": "visual", "knobs": knobs}]},
    }
    recipe = parse(data, "benchmark")
    chain.train(recipe, console=Console(quiet=True))
    (done,) = plan.load(recipe.training_dir / "plan.json")
    return {"steps": 2 if done.state == plan.State.DONE else 0}


def _digests(inputs: dict[str, Any]) -> list[str]:
    """A digest of the pixels of each picture."""
    if "pixel_values" not in inputs:
        return []
    patches = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(dim=1).tolist())
    return [hashlib.sha256(one.float().numpy().tobytes()).hexdigest() for one in patches]


COMMANDS: dict[str, Callable[..., Any]] = {"score": score, "show": show, "train": train}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
