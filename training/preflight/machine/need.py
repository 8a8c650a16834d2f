"""What a link needs of the machine, from the configuration of its trainer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.errors import RecipeError
from training.preflight.machine.model import ModelSize

#: verl's dtypes -> bytes of a number.
_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


@dataclass(frozen=True, slots=True)
class Engine:
    """vLLM's share of each GPU, and over how many GPUs it splits the model."""

    share: float
    parallel: int


@dataclass(frozen=True, slots=True)
class Passes:
    """The largest passes over the model in tokens of prompts and replies, with gradients and without (0: none).

    `filled` is whether passes are filled up to these tokens; else only replies of full length reach them. With `fused`
    the logits of a pass are computed in chunks.
    """

    update: int
    log_prob: int
    filled: bool
    fused: bool


@dataclass(frozen=True, slots=True)
class Adapters:
    """LoRA adapters that are trained in place of the weights: their rank, and the names of the layers."""

    rank: int
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkNeed:
    """A link that is not done.

    `contents` is what verl saves in a checkpoint. `trained`, `computing` and `reference` are bytes per number of the
    trained weights, of those computed with, and of the reference model (0 without one). `longest` is the length limit
    of a prompt with its reply in tokens. `engine` is None without rollouts. `offloaded` (AdamW's moments) and
    `offloaded_weights` are in host memory while vLLM generates. `split` is over how many GPUs a sequence is split,
    `stays` whether checkpoints are kept when the link is done. `adapters` is None if the weights themselves are
    trained.
    """

    stage: str
    steps: int
    checkpoints: Path
    contents: tuple[str, ...]
    save_every: int
    keep: int
    trained: int
    computing: int
    reference: int
    offloaded: bool
    passes: Passes
    longest: int
    engine: Engine | None
    offloaded_weights: bool = False
    split: int = 1
    stays: bool = False
    adapters: Adapters | None = None

    def numbers(self, size: ModelSize) -> tuple[int, int]:
        """(numbers that the trainer holds, numbers it trains); an adapter has rank x (inputs + outputs)."""
        if self.adapters is None:
            return size.parameters, size.parameters
        trained = self.adapters.rank * sum(size.linear.get(name, 0) for name in self.adapters.modules)
        return size.parameters + trained, trained


def of_grpo(stage: str, steps: int, checkpoints: Path, keys: Mapping[str, Any]) -> LinkNeed:
    """The need under `keys` of verl's GRPO trainer.

    Raises:
        RecipeError: the recipe's own keys name a type of numbers that verl does not know.
    """
    actor, reference, rollout = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout"))
    longest = keys["data.max_prompt_length"] + keys["data.max_response_length"]
    # With adapters verl uses the model without them as the reference and loads none.
    has_reference = keys[f"{actor}.use_kl_loss"] and not keys["actor_rollout_ref.model.lora_rank"]
    return LinkNeed(
        stage=stage,
        steps=steps,
        checkpoints=checkpoints,
        contents=tuple(keys[f"{actor}.checkpoint.save_contents"]),
        keep=keys["trainer.max_actor_ckpt_to_keep"],
        reference=_bytes(keys, f"{reference}.fsdp_config.model_dtype") if has_reference else 0,
        passes=_passes(keys, longest),
        longest=longest,
        engine=Engine(keys[f"{rollout}.gpu_memory_utilization"], keys[f"{rollout}.tensor_model_parallel_size"]),
        **_of_engine(keys, f"{actor}.fsdp_config"),
    )


def of_captions(stage: str, steps: int, checkpoints: Path, keys: Mapping[str, Any]) -> LinkNeed:
    """The need under `keys` of verl's supervised trainer; raises what `of_grpo` raises."""
    share = -(-keys["data.max_length"] // keys["engine.ulysses_sequence_parallel_size"])
    return LinkNeed(
        stage=stage,
        steps=steps,
        checkpoints=checkpoints,
        contents=tuple(keys["checkpoint.save_contents"]),
        keep=keys["trainer.max_ckpt_to_keep"],
        reference=0,
        passes=Passes(keys["data.micro_batch_size_per_gpu"] * share, 0, filled=False, fused=False),
        longest=keys["data.max_length"],
        engine=None,
        **_of_engine(keys, "engine"),
    )


def _of_engine(keys: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """What both trainers say with the same keys below `engine`."""
    return {
        "save_every": keys["trainer.save_freq"],
        "trained": _bytes(keys, f"{engine}.model_dtype"),
        "computing": _bytes(keys, f"{engine}.mixed_precision.param_dtype"),
        "offloaded": keys[f"{engine}.optimizer_offload"],
        "offloaded_weights": keys[f"{engine}.param_offload"],
        "split": keys[f"{engine}.ulysses_sequence_parallel_size"],
    }


def _bytes(keys: Mapping[str, Any], key: str) -> int:
    """Bytes per number; the recipe may have set the key itself (`training.verl`)."""
    found = _BYTES.get(str(keys[key]))
    if found is None:
        raise RecipeError(f"training.verl sets {key} to {keys[key]}, which is none of fp32, bf16 and fp16; correct it.")
    return found


def _passes(keys: Mapping[str, Any], longest: int) -> Passes:
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    dynamic, fused = bool(keys[f"{actor}.use_dynamic_bsz"]), bool(keys["actor_rollout_ref.model.use_fused_kernels"])
    if dynamic:
        update, log_prob = keys[f"{actor}.ppo_max_token_len_per_gpu"], keys[f"{rollout}.log_prob_max_token_len_per_gpu"]
    else:
        share = -(-longest // keys[f"{actor}.fsdp_config.ulysses_sequence_parallel_size"])
        update = keys[f"{actor}.ppo_micro_batch_size_per_gpu"] * share
        log_prob = keys[f"{rollout}.log_prob_micro_batch_size_per_gpu"] * share
    return Passes(update, log_prob, filled=dynamic, fused=fused)
