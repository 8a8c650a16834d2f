"""The configuration of verl's supervised trainer (`verl.trainer.sft_trainer`), for stages that train on captions.

It shares its engine and checkpoints with the GRPO trainer, so weights are frozen the same way; only the key names
differ. It does not use Ray: `torch.distributed.run` starts one process per GPU of one node.
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import StageRun, TrainingRecipe
from training.knobs import Backbone, Knobs
from training.on_verl import freeze, lora, overrides, recipe_keys
from training.on_verl.config import Paths, template, tracking
from training.on_verl.patches import mends

#: Keys, or prefixes, that set paths, monitoring or speed and do not affect learning.
NO_EFFECT = tuple(
    """
    checkpoint. data.num_workers data.train_files data.val_files engine.param_offload
    engine.ulysses_sequence_parallel_size engine.use_orig_params model.path trainer.default_local_dir
    trainer.experiment_name trainer.logger trainer.max_ckpt_to_keep trainer.project_name trainer.save_freq
    trainer.test_freq
    """.split()  # noqa: SIM905
)
#: Keys, or prefixes, that verl's packaged configuration lacks.
ADDED = (overrides.TEMPLATE, "data.image_patch_size", "engine.mixed_precision.", "model.override_config.")

_CPU: dict[str, Any] = {
    "trainer.device": "cpu",
    "model.override_config.attn_implementation": "sdpa",
    "model.use_remove_padding": False,
    "model.enable_gradient_checkpointing": False,
    "engine.use_torch_compile": False,
    "data.num_workers": 0,
}


def config(
    recipe: TrainingRecipe, base: Backbone, run: StageRun, knobs: Knobs, paths: Paths, total_steps: int
) -> dict[str, Any]:
    """verl's dotted keys and their values; arguments are those of `on_verl.config.config`.

    Raises:
        RecipeError: the recipe has more than one node, or a key of the stage's `verl` is not valid.
    """
    if recipe.nodes > 1:
        raise RecipeError(f"Stage {run.stage} is taught by captions, on one node; train it with training.nodes: 1.")
    # verl's mean over no batch is NaN.
    validates = bool(knobs.validate_every) and _fill_a_batch(paths.val, knobs.batch_size)
    keys = _optimization(recipe, base, knobs) | {
        "model.path": str(paths.model),
        "data.train_files": [str(path) for path in paths.train],
        "data.val_files": [str(path) for path in paths.val] if validates else None,
        **template(base),
        **tracking(recipe, run),
        "trainer.n_gpus_per_node": recipe.gpus or base.gpus,
        "trainer.total_epochs": knobs.epochs,
        "trainer.total_training_steps": total_steps,
        "trainer.save_freq": knobs.save_every,
        "trainer.test_freq": knobs.validate_every if validates else -1,
        "trainer.max_ckpt_to_keep": knobs.keep_checkpoints,
        "trainer.default_local_dir": str(paths.checkpoints),
        "trainer.resume_mode": "auto",
        "trainer.seed": recipe.seed,
        "checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "checkpoint.load_contents": ["model", "optimizer", "extra"],
        **lora.keys(knobs, "model"),
    }
    if knobs.freeze:
        keys |= {"model.external_lib": freeze.HOOK, "engine.use_orig_params": True}
    return keys | (_CPU if (recipe.device or base.device) == "cpu" else {}) | recipe_keys.checked(run.verl, run.stage)


def _optimization(recipe: TrainingRecipe, base: Backbone, knobs: Knobs) -> dict[str, Any]:
    return {
        "model.external_lib": mends.HOOK,
        "engine.strategy": "fsdp2",
        "engine.model_dtype": "fp32",
        "engine.dtype": base.dtype,
        "engine.mixed_precision.param_dtype": {"float32": "fp32", "bfloat16": "bf16"}[base.dtype],
        "engine.mixed_precision.reduce_dtype": "fp32",
        "engine.optimizer_offload": knobs.offload_optimizer,
        "engine.param_offload": knobs.offload_parameters,
        "engine.ulysses_sequence_parallel_size": knobs.sequence_parallel,
        "engine.seed": recipe.seed,
        "optim.optimizer": "AdamW",
        "optim.lr": knobs.learning_rate,
        "optim.lr_scheduler_type": knobs.schedule,
        "optim.lr_warmup_steps_ratio": knobs.warmup,
        "optim.min_lr_ratio": knobs.min_lr_ratio,
        "optim.weight_decay": knobs.weight_decay,
        "optim.clip_grad": knobs.grad_clip,
        "data.train_batch_size": knobs.batch_size,
        "data.micro_batch_size_per_gpu": knobs.update_micro_batch,
        "data.use_dynamic_bsz": False,
        "data.max_length": knobs.max_prompt_tokens + knobs.max_response_tokens,
        "data.truncation": "error",
        "data.image_patch_size": base.image_patch_size,
    }


def variables(knobs: Knobs) -> dict[str, str]:
    """Environment variables of the trainer's processes."""
    return {freeze.VARIABLE: knobs.freeze} if knobs.freeze else {}


def command(python: str, gpus: int, words: list[str]) -> list[str]:
    """The command that starts the trainer with the overrides `words`."""
    start = [python, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    return [*start, f"--nproc-per-node={gpus}", "-m", "verl.trainer.sft_trainer", *words]


def identity(keys: dict[str, Any], knobs: Knobs) -> dict[str, Any]:
    """The keys that can affect learning."""
    return overrides.identity(keys, NO_EFFECT) | {"method": "sft", "freeze": knobs.freeze}


def _fill_a_batch(paths: tuple[Path, ...], batch: int) -> bool:
    return all(path.is_file() for path in paths) and sum(pq.read_metadata(path).num_rows for path in paths) >= batch
