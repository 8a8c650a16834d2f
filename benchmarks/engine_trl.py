"""TRL's part of `benchmarks.engines`, which runs in TRL's environment."""

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from capcurriculum.engines import trl

STEPS = 2
GENERATIONS = 4


def score() -> list[float | None]:
    """The scores of the replies on stdin, called as GRPOTrainer calls a reward function."""
    rows = [json.loads(line) for line in sys.stdin]
    return trl.reward(
        prompts=[[{"role": "user", "content": ""}] for _ in rows],
        completions=[[{"role": "assistant", "content": row["reply"]}] for row in rows],
        completion_ids=[[0] for _ in rows],
        reward_model=[{"style": "rule", "ground_truth": row["ground_truth"]} for row in rows],
        extra_info=[{"options": row["options"], "kind": row["kind"]} for row in rows],
        trainer_state=None,
        log_extra=lambda column, values: None,
        log_metric=lambda name, value: None,
    )


def show(files: str, model: str, folder: str, how: str = "rows", *limits: str) -> dict[str, Any]:
    """The tokens and the pixels that the trainer shows the model of each row, all rows in one batch.

    With `how` "unconverted" the rows go to TRL as they are; limits of area are the processor's.
    """
    watching = _trainer(files, model, folder, how, *map(int, limits))
    rows = [watching.train_dataset[number] for number in range(len(watching.train_dataset))]
    shown = watching._generate_and_score_completions([row for row in rows for _ in range(GENERATIONS)])
    ids = [one[mask.bool()].tolist() for one, mask in zip(shown["prompt_ids"], shown["prompt_mask"], strict=True)]
    return {"ids": ids[::GENERATIONS], "pixels": _digests(shown, [len(row["images"]) for row in rows])}


def train(files: str, model: str, folder: str) -> dict[str, Any]:
    """Two steps of GRPO: what each was paid and lost, how many weights moved, and whether pictures reach the logits."""
    import torch

    watching = _trainer(files, model, folder, "rows")
    before = {name: value.detach().clone() for name, value in watching.model.named_parameters()}
    watching.train()
    moved = sum(not torch.equal(value, before[name]) for name, value in watching.model.named_parameters())
    history = [entry for entry in watching.state.log_history if "loss" in entry]
    return {
        "steps": watching.state.global_step,
        "rewards": watching.paid[:STEPS],
        "losses": [entry["loss"] for entry in history],
        "logged": sorted(history[-1]),
        "weights": len(before),
        "moved": moved,
        "logit_shift": _logit_shift(watching),
    }


def _trainer(files: str, model: str, folder: str, how: str, *limits: int) -> Any:
    from datasets import load_dataset
    from transformers import AutoProcessor
    from trl import GRPOConfig, GRPOTrainer

    class Watching(trl.MixedBatches, GRPOTrainer):
        """A trainer that keeps what each reply was paid."""

        paid: list[list[float | None]]

        def _calculate_rewards(self, *arguments: Any) -> Any:
            found = super()._calculate_rewards(*arguments)
            self.paid.append([None if one != one else round(one, 6) for one in found[:, 0].tolist()])
            return found

    dataset = load_dataset("parquet", data_files=files, split="train")
    settings = GRPOConfig(
        output_dir=folder, max_steps=STEPS, num_generations=GENERATIONS, per_device_train_batch_size=GENERATIONS,
        gradient_accumulation_steps=4, max_completion_length=64, learning_rate=1e-4, temperature=1.0, seed=1,
        use_cpu=True, bf16=False, report_to="none", logging_steps=1, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    shown = trl.rows(dataset) if how == "rows" else dataset
    told = dict(zip(("min_pixels", "max_pixels"), limits, strict=False))
    processor = AutoProcessor.from_pretrained(model, padding_side="left", **told)
    watching = Watching(model, reward_funcs=trl.reward, args=settings, train_dataset=shown, processing_class=processor)
    watching.paid = []
    return watching


def _logit_shift(watching: Any) -> float:
    """The largest change of a reply's log-probability in nats, when each row is shown another row's picture."""
    import torch

    rows = [row for row in watching.train_dataset if len(row["images"]) == 1][:GENERATIONS]
    shown = watching._generate_and_score_completions(rows)
    mask = shown["completion_mask"]

    def replies(pixels: Any) -> Any:
        found, *_ = watching._get_per_token_logps_and_entropies(
            watching.model,
            torch.cat([shown["prompt_ids"], shown["completion_ids"]], dim=1),
            torch.cat([shown["prompt_mask"], mask], dim=1),
            mask.shape[1],
            pixel_values=pixels,
            **{name: shown[name] for name in ("image_grid_thw", "num_images", "mm_token_type_ids") if name in shown},
        )
        return (found * mask).sum(dim=1)

    pixels = shown["pixel_values"]
    with torch.no_grad():
        return float((replies(pixels) - replies(pixels.roll(len(pixels) // len(rows), dims=0))).abs().max())


def _digests(shown: dict[str, Any], pictures: list[int]) -> list[list[str]]:
    """A digest of the pixels of each picture of each row, in their order."""
    if "pixel_values" not in shown:
        return [[] for _ in pictures]
    sizes = shown["image_grid_thw"].prod(dim=1).tolist()
    patches = (hashlib.sha256(one.float().numpy().tobytes()).hexdigest() for one in shown["pixel_values"].split(sizes))
    copies = [[next(patches) for _ in range(count)] for count in pictures for _ in range(GENERATIONS)]
    return copies[::GENERATIONS]


COMMANDS: dict[str, Callable[..., Any]] = {"score": score, "show": show, "train": train}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
