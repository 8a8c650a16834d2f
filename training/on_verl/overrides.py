"""Hydra overrides for verl 0.9.1: how dotted keys are written, and which of them identify a training.

hydra reads JSON for text, lists and booleans, and needs a leading `+` for a key that verl's packaged configuration
lacks.
"""

import json
from typing import Any

from training.on_verl import freeze

#: Prefix of the chat template's arguments.
TEMPLATE = "data.apply_chat_template_kwargs."

#: Keys, or prefixes, that set paths, monitoring or speed and do not affect learning. Batching by tokens is among them
#: because the loss is a mean over the tokens of the whole mini-batch.
NO_EFFECT = tuple(
    """
    actor_rollout_ref.actor.checkpoint. actor_rollout_ref.actor.fsdp_config.param_offload
    actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size
    actor_rollout_ref.actor.fsdp_config.use_orig_params actor_rollout_ref.actor.ppo_max_token_len_per_gpu
    actor_rollout_ref.actor.use_dynamic_bsz actor_rollout_ref.model.path actor_rollout_ref.model.use_fused_kernels
    actor_rollout_ref.ref.fsdp_config.ulysses_sequence_parallel_size
    actor_rollout_ref.ref.log_prob_max_token_len_per_gpu actor_rollout_ref.ref.log_prob_use_dynamic_bsz
    actor_rollout_ref.rollout.agent. actor_rollout_ref.rollout.checkpoint_engine.
    actor_rollout_ref.rollout.gpu_memory_utilization actor_rollout_ref.rollout.layered_summon
    actor_rollout_ref.rollout.load_format actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu
    actor_rollout_ref.rollout.log_prob_use_dynamic_bsz actor_rollout_ref.rollout.val_kwargs. data.custom_cls.path
    data.dataloader_num_workers data.train_files data.val_files ray_kwargs. reward.custom_reward_function.path
    reward.num_workers trainer.default_local_dir trainer.experiment_name trainer.log_val_generations trainer.logger
    trainer.max_actor_ckpt_to_keep trainer.project_name trainer.save_freq trainer.test_freq trainer.v1.sampler.
    trainer.val_before_train trainer.validation_data_dir transfer_queue.
    """.split()  # noqa: SIM905
)

#: Keys, or prefixes, that verl's packaged configuration lacks.
_ADDED = (
    *"""
    actor_rollout_ref.actor.fsdp_config.mixed_precision. actor_rollout_ref.ref.fsdp_config.mixed_precision.
    actor_rollout_ref.model.override_config. actor_rollout_ref.rollout.agent.agent_loop_manager_class
    actor_rollout_ref.rollout.enable_sleep_mode actor_rollout_ref.rollout.engine_kwargs.vllm.
    data.max_pixels data.min_pixels ray_kwargs.ray_init.num_gpus ray_kwargs.ray_init.include_dashboard
    ray_kwargs.ray_init.object_store_memory ray_kwargs.ray_init._node_ip_address ray_kwargs.ray_init.address
    ray_kwargs.ray_init.runtime_env. reward.custom_reward_function.reward_kwargs. reward.reward_kwargs.
    """.split(),  # noqa: SIM905
    TEMPLATE,
)

#: Ray sets these variables on every node; the shell's environment reaches only the first.
_RUNTIME_ENV = "ray_kwargs.ray_init.runtime_env.env_vars."
FREEZE = f"{_RUNTIME_ENV}{freeze.VARIABLE}"


def runtime_env(variables: dict[str, str]) -> dict[str, str]:
    """Environment variables as keys of Ray's runtime environment."""
    return {f"{_RUNTIME_ENV}{name}": value for name, value in variables.items()}


def arguments(keys: dict[str, Any], added: tuple[str, ...] = _ADDED) -> list[str]:
    """Command-line overrides `key=value`; those that begin with one of `added` get a `+`."""
    return [
        f"{'+' if key.startswith(added) else ''}{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in keys.items()
    ]


def identity(keys: dict[str, Any], no_effect: tuple[str, ...] = NO_EFFECT) -> dict[str, Any]:
    """The keys that can affect learning; the plan stores their digest."""
    return {key: value for key, value in keys.items() if key == FREEZE or not key.startswith(no_effect)}
