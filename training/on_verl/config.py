"""The verl 0.9.1 configuration of one stage's run, as hydra overrides.

One function for every machine: the GPU and the CPU configuration share all that is learned, and `_CPU` is the one place
that says how a CPU differs. Order lives in the data, so nothing shuffles it unasked, and nothing may drop a row: an
overlong prompt is an error.
"""

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.recipe.training import StageRun, TrainingRecipe
from training.knobs import Backbone, Knobs
from training.on_verl import freeze, lora, recipe_keys, reward_keys
from training.on_verl.patches import mends

_HERE = Path(__file__).parent

#: Keys (or their beginnings) that say where things are, how a run is watched and how fast it goes, not what is learned.
NO_EFFECT = (
    "actor_rollout_ref.actor.fsdp_config.param_offload",
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size",
    "actor_rollout_ref.actor.fsdp_config.use_orig_params",
    "actor_rollout_ref.actor.checkpoint.",
    "actor_rollout_ref.actor.use_dynamic_bsz",  # the loss is a mean over the tokens of the whole mini-batch
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu",
    "actor_rollout_ref.model.path",
    "actor_rollout_ref.model.use_fused_kernels",
    "actor_rollout_ref.ref.fsdp_config.ulysses_sequence_parallel_size",
    "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu",
    "actor_rollout_ref.ref.log_prob_use_dynamic_bsz",
    "actor_rollout_ref.rollout.agent.",
    "actor_rollout_ref.rollout.checkpoint_engine.",
    "actor_rollout_ref.rollout.gpu_memory_utilization",
    "actor_rollout_ref.rollout.layered_summon",
    "actor_rollout_ref.rollout.load_format",
    "actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu",
    "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz",
    "actor_rollout_ref.rollout.val_kwargs.",
    "data.custom_cls.path",
    "data.dataloader_num_workers",
    "data.train_files",
    "data.val_files",
    "ray_kwargs.",
    "reward.custom_reward_function.path",
    "reward.num_workers",
    "trainer.default_local_dir",
    "trainer.experiment_name",
    "trainer.log_val_generations",
    "trainer.logger",
    "trainer.max_actor_ckpt_to_keep",
    "trainer.project_name",
    "trainer.save_freq",
    "trainer.test_freq",
    "trainer.val_before_train",
    "trainer.validation_data_dir",
    "trainer.v1.sampler.",
    "transfer_queue.",
)

#: All that a CPU needs beyond the shared keys; float32 because a CPU gains nothing from halves, few of every worker
#: because each costs a second or two and half a gigabyte (the two that prepare rollouts keep one core each busy), no
#: CUDA-only attention, and an engine that keeps its memory.
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

#: How keys of the chat template's arguments begin.
TEMPLATE = "data.apply_chat_template_kwargs."

#: Keys that verl's packaged configuration does not name and hydra therefore has to add.
_ADDED = (
    "actor_rollout_ref.actor.fsdp_config.mixed_precision.",
    "actor_rollout_ref.ref.fsdp_config.mixed_precision.",
    "actor_rollout_ref.model.override_config.",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
    "actor_rollout_ref.rollout.enable_sleep_mode",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.",
    TEMPLATE,
    "data.max_pixels",
    "data.min_pixels",
    "ray_kwargs.ray_init.num_gpus",
    "ray_kwargs.ray_init.include_dashboard",
    "ray_kwargs.ray_init.object_store_memory",
    "ray_kwargs.ray_init._node_ip_address",
    "ray_kwargs.ray_init.address",
    "ray_kwargs.ray_init.runtime_env.",
    *reward_keys.ADDED,
)


#: verl imports the module of its loops' manager in the trainer's process, and the loops in those that prepare rollouts.
_CANARY = {
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class": "training.canary.hook.WatchedAgentLoops",
    "actor_rollout_ref.rollout.agent.agent_loop_config_path": str(_HERE.parent / "canary" / "loop.yaml"),
}

#: Ray carries its environment to every node, which the shell's does not reach.
_CARRIED = "ray_kwargs.ray_init.runtime_env.env_vars."
_FREEZE = f"{_CARRIED}{freeze.VARIABLE}"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a stage's run reads and writes; what validation hears goes to `validation`, a file for each step."""

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
        recipe: the training section; `base`, `run` and `knobs` are its backbone, its stage and what both come to.
        paths: where the run reads and writes.
        total_steps: the plan's own number, so that both count alike.
        first: whether the stage is the first of its chain. What all stages are validated on is validated before the
            first one only, since the end of a stage is the beginning of the next.
    """
    device = recipe.device or base.device
    keys = _data(base, recipe, knobs, paths) | _algorithm(base, recipe, knobs) | _rollout(base, recipe, knobs, paths)
    keys |= _passes(base, knobs) | _hooks(knobs) | _lora(knobs) | reward_keys.reward_keys(recipe.reward, knobs)
    keys |= _CANARY if recipe.canary else {}
    keys |= {
        **tracking(recipe, run),
        "trainer.log_val_generations": recipe.log_samples,
        "trainer.n_gpus_per_node": recipe.gpus or base.gpus,
        "trainer.nnodes": recipe.nodes,
        "trainer.total_epochs": knobs.epochs,
        "trainer.total_training_steps": total_steps,
        "trainer.save_freq": knobs.save_every,
        "trainer.test_freq": knobs.validate_every or -1,
        "trainer.val_before_train": bool(knobs.validate_every) and (first or recipe.validate_on == "own"),
        "trainer.validation_data_dir": str(paths.validation) if knobs.validate_every and paths.validation else None,
        "trainer.max_actor_ckpt_to_keep": knobs.keep_checkpoints,
        "trainer.default_local_dir": str(paths.checkpoints),
        "trainer.resume_mode": "auto",
        # Only reads what passes through it, and says what the rewards said (see `sampler`).
        "trainer.v1.sampler.custom_sampler.path": str(_HERE / "sampler.py"),
        "trainer.v1.sampler.custom_sampler.name": "ToldReplayBuffer",
        # Loadable weights with every checkpoint (see `export`); resuming reads the trainer's own.
        "actor_rollout_ref.actor.checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "actor_rollout_ref.actor.checkpoint.load_contents": ["model", "optimizer", "extra"],
    }
    if recipe.ray:
        keys["ray_kwargs.ray_init.address"] = recipe.ray
    logical = {"ray_kwargs.ray_init.num_gpus": recipe.gpus or base.gpus}  # what verl's workers ask Ray for
    return keys | (_CPU | logical if device == "cpu" else {}) | recipe_keys.checked(recipe.verl | run.verl, run.stage)


def tracking(recipe: TrainingRecipe, run: StageRun) -> dict[str, Any]:
    """Where metrics go: the console, the file that is read here (`metrics`), and the recipe's trackers."""
    return {
        "trainer.project_name": recipe.project,
        "trainer.experiment_name": "-".join(part for part in (recipe.run_name, run.stage) if part),
        "trainer.logger": ["console", "file", *recipe.logger],
    }


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
    """verl hands them to `datasets`, which would take a path with a bracket for a pattern of others."""
    return [glob.escape(str(path)) for path in paths]


def template(base: Backbone) -> dict[str, Any]:
    """The arguments of the chat template, for the GRPO and the supervised trainer alike."""
    return {f"{TEMPLATE}{name}": value for name, value in base.template.items()}


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
        # Updates of 1e-6 vanish in bfloat16 weights under plain AdamW, so the trained weights are float32 everywhere.
        f"{actor}.fsdp_config.model_dtype": "fp32",
        f"{actor}.fsdp_config.dtype": base.dtype,
        f"{actor}.fsdp_config.optimizer_offload": knobs.offload_optimizer,
        f"{actor}.fsdp_config.param_offload": knobs.offload_parameters,
        f"{reference}.fsdp_config.model_dtype": model_dtype,
        # Without these verl computes in bfloat16 whatever `dtype` says, which a CPU emulates at a tenth of the speed.
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
    """How the sequences of a step are cut into passes over the model; no loss or gradient depends on it."""
    actor, log_probs = "actor_rollout_ref.actor", ("actor_rollout_ref.ref", "actor_rollout_ref.rollout")
    keys: dict[str, Any] = {
        "actor_rollout_ref.model.use_fused_kernels": base.fused_kernels,
        f"{actor}.fsdp_config.ulysses_sequence_parallel_size": knobs.sequence_parallel,
        "actor_rollout_ref.ref.fsdp_config.ulysses_sequence_parallel_size": knobs.sequence_parallel,
        f"{actor}.use_dynamic_bsz": bool(knobs.tokens_per_gpu),
    }
    if knobs.tokens_per_gpu:
        keys[f"{actor}.ppo_max_token_len_per_gpu"] = knobs.tokens_per_gpu
    else:
        keys[f"{actor}.ppo_micro_batch_size_per_gpu"] = knobs.update_micro_batch
    for part in log_probs:
        keys[f"{part}.log_prob_use_dynamic_bsz"] = bool(knobs.tokens_per_gpu)
        if knobs.tokens_per_gpu:
            keys[f"{part}.log_prob_max_token_len_per_gpu"] = knobs.tokens_per_gpu
        else:
            keys[f"{part}.log_prob_micro_batch_size_per_gpu"] = knobs.log_prob_micro_batch
    return keys


def _hooks(knobs: Knobs) -> dict[str, Any]:
    """What the trainer's processes import: the mends of verl, and the freezing of weights where some are frozen."""
    if not knobs.freeze:
        return {"actor_rollout_ref.model.external_lib": mends.HOOK}
    return {
        "actor_rollout_ref.model.external_lib": freeze.HOOK,
        "actor_rollout_ref.actor.fsdp_config.use_orig_params": True,  # FSDP1 would melt frozen and trained into one
        _FREEZE: knobs.freeze,
    }


def _lora(knobs: Knobs) -> dict[str, Any]:
    keys = lora.keys(knobs, "actor_rollout_ref.model")
    rollout = "actor_rollout_ref.rollout"
    if knobs.lora_rank:  # vLLM is handed the adapters alone, a layer at a time, and so reads the weights itself
        keys |= {f"{rollout}.load_format": "safetensors", f"{rollout}.layered_summon": True}
    return keys


def carried(variables: dict[str, str]) -> dict[str, str]:
    """Environment variables as keys by which Ray sets them in every process of every node."""
    return {f"{_CARRIED}{name}": value for name, value in variables.items()}


def arguments(keys: dict[str, Any], added: tuple[str, ...] = _ADDED) -> list[str]:
    """The command line's `key=value` words; JSON is what hydra's grammar reads for text, lists and truth values."""
    return [f"{'+' if key.startswith(added) else ''}{key}={_value(value)}" for key, value in keys.items()]


def identity(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys that can change what is learned; their digest is the run's configuration in the plan."""
    return {key: value for key, value in keys.items() if key == _FREEZE or not key.startswith(NO_EFFECT)}


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
