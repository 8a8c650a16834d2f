"""The verl 0.9.1 GRPO configuration of one stage, as dotted keys.

GPU and CPU runs share every key that affects learning; `_CPU` holds all differences. Row order lives in the data files,
so verl shuffles only if the recipe says so, and it drops no row: an overlong prompt is an error.
"""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.recipe.training import StageRun, TrainingRecipe
from training.knobs import Backbone, Knobs
from training.on_verl import freeze, lora, recipe_keys
from training.on_verl.overrides import FREEZE, TEMPLATE
from training.on_verl.patches import mends
from training.on_verl.reward_keys import reward_keys

_HERE = Path(__file__).parent

#: The keys of a CPU run. float32, because a CPU gains nothing from half precision; as few worker processes as possible,
#: because each takes a second or two and half a gigabyte (the two agent-loop workers keep one core each busy); no
#: CUDA-only attention; and an engine that keeps its memory.
_CPU: dict[str, Any] = {
    "trainer.device": "cpu",
    "actor_rollout_ref.model.override_config.attn_implementation": "sdpa",
    "actor_rollout_ref.model.use_remove_padding": False,
    "actor_rollout_ref.model.enable_gradient_checkpointing": False,
    "actor_rollout_ref.actor.use_torch_compile": False,
    "actor_rollout_ref.actor.fsdp_config.use_torch_compile": False,
    "actor_rollout_ref.ref.fsdp_config.use_torch_compile": False,
    "actor_rollout_ref.rollout.enforce_eager": True,
    "actor_rollout_ref.rollout.free_cache_engine": False,
    "actor_rollout_ref.rollout.enable_sleep_mode": False,
    "actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend": "uni",
    "actor_rollout_ref.rollout.max_num_seqs": 256,
    "actor_rollout_ref.rollout.agent.num_workers": 2,
    "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes": 64,
    "data.dataloader_num_workers": 0,
    "reward.num_workers": 1,
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
    "ray_kwargs.ray_init.num_cpus": 8,
    "ray_kwargs.ray_init.include_dashboard": False,
    "ray_kwargs.ray_init.object_store_memory": 500_000_000,
    "ray_kwargs.ray_init._node_ip_address": "127.0.0.1",
}

#: verl imports the manager's module in the trainer's process, and the loops in the agent-loop workers.
_CANARY = {
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class": "training.canary.hook.WatchedAgentLoops",
    "actor_rollout_ref.rollout.agent.agent_loop_config_path": str(_HERE.parent / "canary" / "loop.yaml"),
}


@dataclass(frozen=True, slots=True)
class Paths:
    """What a stage's run reads and writes; verl dumps each validation to `validation`, one file a step."""

    train: tuple[Path, ...]
    val: tuple[Path, ...]
    model: Path
    checkpoints: Path
    validation: Path | None = None


def config(
    recipe: TrainingRecipe,
    base: Backbone,
    run: StageRun,
    knobs: Knobs,
    paths: Paths,
    total_steps: int,
    *,
    first: bool = True,
) -> dict[str, Any]:
    """verl's dotted keys and their values.

    Args:
        recipe: the training section. base: its backbone. run: its stage. knobs: the knobs resolved from these three.
        paths: what the run reads and writes. total_steps: the plan's number of steps. first: whether this is the first
        GRPO stage of the chain. With `validate_on: all` only the first validates before
            its first step, since a later stage starts from a checkpoint that was just validated on the same rows.

    Raises:
        RecipeError: `training.reward` or a key of `training.verl` is not valid.
    """
    keys = _data(base, recipe, knobs, paths) | _algorithm(base, recipe, knobs) | _rollout(base, recipe, knobs, paths)
    keys |= _passes(base, knobs) | _hooks(knobs) | lora.keys(knobs, "actor_rollout_ref.model")
    if knobs.lora_rank:  # verl then sends vLLM only the adapters, layer by layer, and vLLM loads the weights itself
        rollout = "actor_rollout_ref.rollout"
        keys |= {f"{rollout}.load_format": "safetensors", f"{rollout}.layered_summon": True}
    keys |= reward_keys(recipe.reward, knobs) | (_CANARY if recipe.canary else {})
    keys |= _trainer(recipe, base, run, knobs, paths) | {
        "trainer.total_training_steps": total_steps,
        "trainer.val_before_train": bool(knobs.validate_every) and (first or recipe.validate_on == "own"),
    }
    if recipe.ray:
        keys["ray_kwargs.ray_init.address"] = recipe.ray
    if (recipe.device or base.device) == "cpu":
        # verl's workers request Ray's GPU resource, so a CPU run declares logical GPUs.
        keys |= _CPU | {"ray_kwargs.ray_init.num_gpus": recipe.gpus or base.gpus}
    return keys | recipe_keys.checked(recipe.verl | run.verl, run.stage)


def _trainer(recipe: TrainingRecipe, base: Backbone, run: StageRun, knobs: Knobs, paths: Paths) -> dict[str, Any]:
    return {
        **tracking(recipe, run),
        "trainer.log_val_generations": recipe.log_samples,
        "trainer.n_gpus_per_node": recipe.gpus or base.gpus,
        "trainer.nnodes": recipe.nodes,
        "trainer.total_epochs": knobs.epochs,
        "trainer.save_freq": knobs.save_every,
        "trainer.test_freq": knobs.validate_every or -1,
        "trainer.validation_data_dir": str(paths.validation) if knobs.validate_every and paths.validation else None,
        "trainer.max_actor_ckpt_to_keep": knobs.keep_checkpoints,
        "trainer.default_local_dir": str(paths.checkpoints),
        "trainer.resume_mode": "auto",
        # Adds metrics of the rewards and changes no batch.
        "trainer.v1.sampler.custom_sampler.path": str(_HERE / "sampler.py"),
        "trainer.v1.sampler.custom_sampler.name": "RewardMetricsBuffer",
        # `hf_model` are the loadable weights that `checkpoints.export` reads; resuming loads the others.
        "actor_rollout_ref.actor.checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "actor_rollout_ref.actor.checkpoint.load_contents": ["model", "optimizer", "extra"],
    }


def tracking(recipe: TrainingRecipe, run: StageRun) -> dict[str, Any]:
    """Metrics go to the console, to the file that `supervise.metrics` reads, and to the recipe's trackers."""
    return {
        "trainer.project_name": recipe.project,
        "trainer.experiment_name": "-".join(part for part in (recipe.run_name, run.stage) if part),
        "trainer.logger": ["console", "file", *recipe.logger],
    }


def template(base: Backbone) -> dict[str, Any]:
    """The chat template's arguments, the same for the GRPO and the supervised trainer."""
    return {f"{TEMPLATE}{name}": value for name, value in base.template.items()}


def _data(base: Backbone, recipe: TrainingRecipe, knobs: Knobs, paths: Paths) -> dict[str, Any]:
    return {
        "data.train_files": _patterns(paths.train),
        "data.val_files": _patterns(paths.val),
        "data.train_batch_size": knobs.batch_size,
        "data.max_prompt_length": knobs.max_prompt_tokens,
        "data.max_response_length": knobs.max_response_tokens,
        "data.shuffle": knobs.shuffle,
        "data.seed": recipe.seed,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.image_key": "images",
        "data.image_patch_size": base.image_patch_size,
        "data.custom_cls.path": str(_HERE / "dataset.py"),
        "data.custom_cls.name": "LimitedImages",
        "data.min_pixels": knobs.min_pixels,
        "data.max_pixels": knobs.max_pixels,
        **template(base),
    }


def _patterns(paths: tuple[Path, ...]) -> list[str]:
    """The paths escaped for `datasets`, which verl passes them to and which expands patterns."""
    return [glob.escape(str(path)) for path in paths]


def _algorithm(base: Backbone, recipe: TrainingRecipe, knobs: Knobs) -> dict[str, Any]:
    actor, reference = "actor_rollout_ref.actor", "actor_rollout_ref.ref"
    model_dtype = {"float32": "fp32", "bfloat16": "bf16"}[base.dtype]
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.use_kl_in_reward": False,
        f"{actor}.strategy": "fsdp2",
        f"{actor}.ppo_mini_batch_size": knobs.mini_batch_size,
        f"{actor}.use_kl_loss": True,
        f"{actor}.kl_loss_coef": knobs.kl_coef,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": 0,
        f"{actor}.clip_ratio_low": knobs.clip_low,
        f"{actor}.clip_ratio_high": knobs.clip_high,
        f"{actor}.data_loader_seed": recipe.seed,
        f"{actor}.optim.optimizer": "AdamW",
        f"{actor}.optim.lr": knobs.learning_rate,
        f"{actor}.optim.lr_scheduler_type": knobs.schedule,
        f"{actor}.optim.lr_warmup_steps_ratio": knobs.warmup,
        f"{actor}.optim.min_lr_ratio": knobs.min_lr_ratio,
        f"{actor}.optim.weight_decay": knobs.weight_decay,
        f"{actor}.optim.clip_grad": knobs.grad_clip,
        # Trained weights are always float32: plain AdamW loses updates of 1e-6 in bfloat16 weights.
        f"{actor}.fsdp_config.model_dtype": "fp32",
        f"{actor}.fsdp_config.dtype": base.dtype,
        f"{actor}.fsdp_config.optimizer_offload": knobs.offload_optimizer,
        f"{actor}.fsdp_config.param_offload": knobs.offload_parameters,
        f"{reference}.fsdp_config.model_dtype": model_dtype,
        # Without these verl computes in bfloat16 whatever `dtype` is, and a CPU emulates that at a tenth of the speed.
        f"{actor}.fsdp_config.mixed_precision.param_dtype": model_dtype,
        f"{actor}.fsdp_config.mixed_precision.reduce_dtype": "fp32",
        f"{reference}.fsdp_config.mixed_precision.param_dtype": model_dtype,
        f"{reference}.fsdp_config.mixed_precision.reduce_dtype": "fp32",
        f"{reference}.fsdp_config.dtype": base.dtype,
    }


def _rollout(base: Backbone, recipe: TrainingRecipe, knobs: Knobs, paths: Paths) -> dict[str, Any]:
    rollout = "actor_rollout_ref.rollout"
    return {
        "actor_rollout_ref.model.path": str(paths.model),
        f"{rollout}.name": "vllm",
        f"{rollout}.n": knobs.rollouts,
        f"{rollout}.seed": recipe.seed,
        f"{rollout}.temperature": knobs.temperature,
        f"{rollout}.top_p": knobs.top_p,
        f"{rollout}.val_kwargs.n": knobs.val_rollouts,
        f"{rollout}.val_kwargs.temperature": knobs.val_temperature,
        f"{rollout}.val_kwargs.top_p": knobs.val_top_p,
        f"{rollout}.val_kwargs.do_sample": knobs.val_temperature > 0,
        f"{rollout}.dtype": base.dtype,
        f"{rollout}.tensor_model_parallel_size": knobs.tensor_parallel,
        f"{rollout}.gpu_memory_utilization": knobs.gpu_memory,
        f"{rollout}.max_model_len": knobs.max_prompt_tokens + knobs.max_response_tokens,
    }


def _passes(base: Backbone, knobs: Knobs) -> dict[str, Any]:
    """How verl groups the sequences of a step into forward passes; neither loss nor gradient depends on it."""
    actor, reference, rollout = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout"))
    dynamic = bool(knobs.tokens_per_gpu)
    size = "max_token_len_per_gpu" if dynamic else "micro_batch_size_per_gpu"
    keys: dict[str, Any] = {
        "actor_rollout_ref.model.use_fused_kernels": base.fused_kernels,
        f"{actor}.fsdp_config.ulysses_sequence_parallel_size": knobs.sequence_parallel,
        f"{reference}.fsdp_config.ulysses_sequence_parallel_size": knobs.sequence_parallel,
        f"{actor}.use_dynamic_bsz": dynamic,
        f"{actor}.ppo_{size}": knobs.tokens_per_gpu or knobs.update_micro_batch,
    }
    for part in (reference, rollout):
        keys[f"{part}.log_prob_use_dynamic_bsz"] = dynamic
        keys[f"{part}.log_prob_{size}"] = knobs.tokens_per_gpu or knobs.log_prob_micro_batch
    return keys


def _hooks(knobs: Knobs) -> dict[str, Any]:
    """The module that verl's processes import: fixes of verl, and the freeze where a stage has frozen weights."""
    if not knobs.freeze:
        return {"actor_rollout_ref.model.external_lib": mends.HOOK}
    return {
        "actor_rollout_ref.model.external_lib": freeze.HOOK,
        # FSDP1 would flatten frozen and trained weights into one parameter.
        "actor_rollout_ref.actor.fsdp_config.use_orig_params": True,
        FREEZE: knobs.freeze,
    }
