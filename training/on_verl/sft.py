"""The configuration of verl's own supervised trainer (`verl.trainer.sft_trainer`), for stages taught by captions.

It shares its engine, its checkpoints and so the freezing of weights with the GRPO trainer; only the keys bear other
names. It has no Ray in it: `torch.distributed.run` starts a process for each GPU of one node.
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import StageRun, TrainingRecipe
from training.knobs import Backbone, Knobs
from training.on_verl import freeze, lora, recipe_keys
from training.on_verl.config import TEMPLATE, Paths, template, tracking
from training.on_verl.patches import mends

#: Keys (or their beginnings) that say where things are and how fast a run goes, not what is learned.
NO_EFFECT = (
    "checkpoint.",
    "data.num_workers",
    "data.train_files",
    "data.val_files",
    "engine.param_offload",
    "engine.ulysses_sequence_parallel_size",
    "engine.use_orig_params",
    "model.path",
    "trainer.default_local_dir",
    "trainer.experiment_name",
    "trainer.logger",
    "trainer.max_ckpt_to_keep",
    "trainer.project_name",
    "trainer.save_freq",
    "trainer.test_freq",
)
#: Keys that verl's packaged configuration does not name and hydra therefore has to add.
ADDED = (TEMPLATE, "data.image_patch_size", "engine.mixed_precision.", "model.override_config.")

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
    """verl's dotted keys and their values.

    Raises:
        RecipeError: the recipe has more than one node, which this trainer cannot use.
    """
    if recipe.nodes > 1:
        raise RecipeError(f"Stage {run.stage} is taught by captions, on one node; train it with training.nodes: 1.")
    dtype = {"float32": "fp32", "bfloat16": "bf16"}[base.dtype]
    validates = bool(knobs.validate_every) and _fills(paths.val, knobs.batch_size)
    keys = {
        "model.path": str(paths.model),
        "model.external_lib": mends.HOOK,
        "engine.strategy": "fsdp2",
        "engine.model_dtype": "fp32",
        "engine.dtype": base.dtype,
        "engine.mixed_precision.param_dtype": dtype,
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
        "data.train_files": [str(path) for path in paths.train],
        "data.val_files": [str(path) for path in paths.val] if validates else None,
        "data.train_batch_size": knobs.batch_size,
        "data.micro_batch_size_per_gpu": knobs.update_micro_batch,
        "data.use_dynamic_bsz": False,
        "data.max_length": knobs.max_prompt_tokens + knobs.max_response_tokens,
        "data.truncation": "error",
        "data.image_patch_size": base.image_patch_size,
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


def variables(knobs: Knobs) -> dict[str, str]:
    """What the processes find in their environment; there is no Ray here to carry it."""
    return {freeze.VARIABLE: knobs.freeze} if knobs.freeze else {}


def command(python: str, gpus: int, words: list[str]) -> list[str]:
    """What starts the trainer."""
    start = [python, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    start += [f"--nproc-per-node={gpus}"]
    return [*start, "-m", "verl.trainer.sft_trainer", *words]


def identity(keys: dict[str, Any], knobs: Knobs) -> dict[str, Any]:
    """The keys that can change what is learned."""
    kept = {key: value for key, value in keys.items() if not key.startswith(NO_EFFECT)}
    return kept | {"method": "sft", "freeze": knobs.freeze}


def _fills(paths: tuple[Path, ...], batch: int) -> bool:
    """Whether there are as many validation rows as verl needs for one batch; of fewer it makes a loss of nan."""
    return all(path.is_file() for path in paths) and sum(pq.read_metadata(path).num_rows for path in paths) >= batch
