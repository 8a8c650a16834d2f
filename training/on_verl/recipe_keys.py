"""Keys of verl's configuration that a recipe sets (`training.verl`), the last layer of all.

Any key may be set except those that another part of this project depends on, whose error says what to set instead, and
those by which a recipe would name a program. Whether verl knows a key is checked by verl itself (see `compose`).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from capcurriculum.errors import RecipeError

_NAME = re.compile(r"\+?[A-Za-z_]\w*(\.\w+)+")
#: Parts of keys whose values verl imports, runs or loads code by.
_CODE = re.compile(
    r"_target_|external_lib|trust_remote_code|runtime_env|custom_cls|custom_sampler|custom_reward_function|finish_hook|"
    r"class_path|function_path|config_path|optimizer_impl|adapter_path|chat_template|_name_or_path|hdfs|"
    r"_(class|cls|fqn)(\.|$)|(?<!with)_module(\.|$)|module_path|tool_path|plugin|callback|logits_processors|middleware|"
    r"model_path|tokenizer_path|checkpoint(ing)?_path|load_format|download_dir|hf_token|kv_connector|speculative|prometheus"
)
#: YAML reads 1e-6, which has no dot, as text.
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
#: Keys that this project depends on, without `actor_rollout_ref.`, and all below them -> what to set instead. One that
#: ends with _ stands for all that begin with it, one that begins with * for all that end so.
_OWNED: Mapping[str, str] = MappingProxyType(
    {
        "actor.checkpoint": "resuming and the next stage read what is saved",
        "actor.freeze_vision_tower": "verl 0.9.1 ignores it; set training.knobs.freeze",
        "actor.ppo_max_token_len_per_gpu": "set training.knobs.tokens_per_gpu",
        "actor.ppo_mini_batch_size": "set training.knobs.mini_batch_size",
        "actor.use_dynamic_bsz": "set training.knobs.tokens_per_gpu",
        "actor.fsdp_config.optimizer_offload": "set training.knobs.offload_optimizer",
        "actor.fsdp_config.param_offload": "set training.knobs.offload_parameters",
        "*.ulysses_sequence_parallel_size": "set training.knobs.sequence_parallel",
        "model.exclude_modules": "set training.knobs.lora_modules",
        "model.lora": "set training.knobs.lora_rank; the keys below model.lora are Megatron's",
        "model.lora_": "set training.knobs.lora_rank and lora_alpha",
        "model.target_": "set training.knobs.lora_modules",
        "model.path": "set training.model",
        "*.log_prob_max_token_len_per_gpu": "set training.knobs.tokens_per_gpu",
        "rollout.gpu_memory_utilization": "set training.knobs.gpu_memory",
        "rollout.layered_summon": "set training.knobs.lora_rank",
        "rollout.load_format": "verl hands vLLM the weights, or with lora_rank the adapters alone",
        "rollout.n": "set training.knobs.rollouts",
        "rollout.name": "weights are handed to vLLM, and the pixel limits are checked against it",
        "rollout.tensor_model_parallel_size": "set training.knobs.tensor_parallel",
        "data.apply_chat_template_kwargs": "prompts are counted and served as the backbone's template says",
        "data.filter_overlong_prompts": "set training.preflight.overlong",
        "data.image_key": "the stage files' column is images",
        "data.image_patch_size": "it is the backbone's",
        "data.max_pixels": "set training.knobs.max_pixels",
        "data.max_prompt_length": "set training.knobs.max_prompt_tokens",
        "data.max_response_length": "set training.knobs.max_response_tokens",
        "data.min_pixels": "set training.knobs.min_pixels",
        "data.mm_processor_kwargs": "set training.knobs.min_pixels and max_pixels",
        "data.prompt_key": "the stage files' column is prompt",
        "data.reward_fn_key": "the reward reads the stage files' own column",
        "data.seed": "set training.seed",
        "data.shuffle": "set training.knobs.shuffle; else the order of the rows is the curriculum's",
        "data.train_batch_size": "set training.knobs.batch_size",
        "data.train_files": "set training.order and training.stages",
        "data.truncation": "set training.preflight.overlong",
        "data.val_files": "set training.validate_on",
        "engine.optimizer_offload": "set training.knobs.offload_optimizer",
        "engine.param_offload": "set training.knobs.offload_parameters",
        "ray_kwargs.ray_init.address": "set training.ray",
        "reward": "set training.reward",
        "trainer.default_local_dir": "checkpoints are found below the training's folder",
        "trainer.device": "set training.device",
        "trainer.logger": "set training.logger",
        "trainer.max_actor_ckpt_to_keep": "set training.knobs.keep_checkpoints",
        "trainer.max_ckpt_to_keep": "set training.knobs.keep_checkpoints",
        "trainer.n_gpus_per_node": "set training.gpus",
        "trainer.nnodes": "set training.nodes",
        "trainer.resume_": "a training resumes from its own folder",
        "trainer.save_freq": "set training.knobs.save_every",
        "trainer.test_freq": "set training.knobs.validate_every",
        "trainer.total_": "set training.knobs.epochs or max_steps",
        "trainer.v1": "rewards are counted and rows are ordered there",
        "trainer.val_": "set training.knobs.validate_every",
        "trainer.validation_data_dir": "samples are read from the training's folder",
        "hydra": "the trainer's output is found below the training's folder",
    }
)  # fmt: skip


def checked(keys: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """The keys as verl gets them; a leading + is hydra's mark of a key that verl's configuration lacks.

    Raises:
        RecipeError: one may not be set; the sentence says why.
    """
    for key, value in keys.items():
        where = f"training.verl of stage {stage} sets {key!r}"
        bare = key.removeprefix("+")
        if not _NAME.fullmatch(key):
            raise RecipeError(
                f"{where}, which is no key of verl's; keys are dotted, as actor_rollout_ref.actor.ppo_epochs."
            )
        if instead := _instead(bare):
            raise RecipeError(f"{where}, on which this program depends: {instead}.")
        if _CODE.search(bare):
            raise RecipeError(f"{where}, by which verl would load code or files that the recipe names; leave it out.")
        texts = [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)]
        if any("${" in text or not text.isprintable() for text in texts):
            raise RecipeError(
                f"{where} to a text with ${{ or a control character, which verl's configuration would read."
            )
    return {key: _parsed(value) for key, value in keys.items()}


def _instead(key: str) -> str:
    """What to set instead of a key that may not be set; "" if it may."""
    key = key.removeprefix("actor_rollout_ref.")
    for name, instead in _OWNED.items():
        below = key.startswith(name if name.endswith("_") else f"{name}.")
        if key == name or below or (name.startswith("*") and f"{name[1:]}." in f"{key}."):
            return instead
    return ""


def _parsed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_parsed(one) for one in value]
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
