"""EasyR1's configuration of one stage, nested as in its YAML file.

EasyR1 reads the columns problem, answer and images of a row. It has no system turn, so its template (`format_prompt`)
puts the system prompt before the problem.
"""

from pathlib import Path
from typing import Any

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import StageRun, TrainingRecipe
from training.knobs import Backbone, Knobs

_HERE = Path(__file__).parent


def check_backbone(recipe: TrainingRecipe, base: Backbone) -> None:
    """Check that EasyR1 can train the backbone.

    Raises:
        TrainerError: it cannot.
    """
    if recipe.refresh is not None:
        raise TrainerError(
            "The files for EasyR1 are written before anything is trained, so no pass rate can be measured anew between "
            "stages; leave out training.refresh, or leave out --engine and use verl."
        )
    if "InternVL" in base.processor:
        raise TrainerError(
            f"EasyR1 cannot train {recipe.backbone}: InternVL is none of the models it accepts, and the release's "
            f"scripts for it need a fork that was never published; take qwen3_vl_8b or qwen2_5_vl_7b."
        )
    if base.template:
        needed = ", ".join(f"{name}: {str(value).lower()}" for name, value in base.template.items())
        raise TrainerError(
            f"EasyR1 gives a chat template no arguments, and {recipe.backbone} needs {needed}; leave out --engine and "
            f"use verl."
        )
    if (recipe.device or base.device) == "cpu":
        raise TrainerError(f"EasyR1 trains on GPUs alone, and {recipe.backbone} is for a CPU; name another --backbone.")


def check(knobs: Knobs, run: StageRun) -> None:
    """Check that EasyR1 can train the stage.

    Raises:
        TrainerError: it cannot.
    """
    if run.method == "sft":
        raise TrainerError(f"EasyR1 has no supervised trainer for stage {run.stage}; leave out --engine and use verl.")
    if knobs.freeze not in ("", "vision"):
        raise TrainerError(
            f"EasyR1 can freeze the vision tower and nothing else, and stage {run.stage} freezes {knobs.freeze!r}; set "
            f'freeze to vision or to "".'
        )
    if knobs.lora_rank:
        raise TrainerError(
            f"Stage {run.stage} trains adapters, which the files for EasyR1 do not express; set lora_rank to 0, or "
            f"leave out --engine and use verl."
        )


def config(
    recipe: TrainingRecipe, base: Backbone, stage: str, knobs: Knobs, rows: Path, model: str, target: Path
) -> dict[str, Any]:
    """EasyR1's keys; `rows` is the folder of the stage's files, `model` its parent, `target` its output folder."""
    return {
        "data": _data(recipe, knobs, rows, target),
        "algorithm": {
            "adv_estimator": "grpo",
            "disable_kl": False,
            "use_kl_loss": True,
            "kl_penalty": "low_var_kl",
            "kl_coef": knobs.kl_coef,
            "online_filtering": False,
        },
        "worker": {
            "actor": _actor(knobs, model),
            "rollout": _rollout(recipe, knobs),
            "ref": {"fsdp": _FSDP, "offload": {"offload_params": False}},
            "reward": {
                "reward_function": f"{_HERE / 'reward.py'}:compute_score",
                "reward_function_kwargs": {
                    "accuracy_weight": knobs.accuracy_weight,
                    "format_weight": knobs.format_weight,
                },
            },
        },
        "trainer": _trainer(recipe, base, stage, knobs, target),
    }


_FSDP: dict[str, Any] = {"enable_full_shard": True, "enable_cpu_offload": False, "enable_rank0_init": True}


def _data(recipe: TrainingRecipe, knobs: Knobs, rows: Path, target: Path) -> dict[str, Any]:
    return {
        "train_files": f"{rows}@train",
        "val_files": f"{rows}@{'validation' if knobs.validate_every else 'train'}",  # read even if it never validates
        "prompt_key": "problem",
        "answer_key": "answer",
        "image_key": "images",
        "format_prompt": str(target.parent / "format_prompt.jinja"),
        "max_prompt_length": knobs.max_prompt_tokens,
        "max_response_length": knobs.max_response_tokens,
        "rollout_batch_size": knobs.batch_size,
        "val_batch_size": 1024,
        "shuffle": knobs.shuffle,
        "seed": recipe.seed,
        "min_pixels": knobs.min_pixels,
        "max_pixels": knobs.max_pixels,
        "filter_overlong_prompts": True,
    }


def _actor(knobs: Knobs, model: str) -> dict[str, Any]:
    return {
        "global_batch_size": knobs.mini_batch_size,
        "micro_batch_size_per_device_for_update": knobs.update_micro_batch,
        "micro_batch_size_per_device_for_experience": knobs.log_prob_micro_batch,
        "max_grad_norm": knobs.grad_clip,
        "clip_ratio_low": knobs.clip_low,
        "clip_ratio_high": knobs.clip_high,
        "padding_free": True,
        "dynamic_batching": True,
        "ulysses_size": knobs.sequence_parallel,
        "model": {
            "model_path": model,
            "enable_gradient_checkpointing": True,
            "trust_remote_code": False,
            "freeze_vision_tower": knobs.freeze == "vision",
        },
        "optim": {
            "lr": knobs.learning_rate,
            "weight_decay": knobs.weight_decay,
            "strategy": "adamw_bf16",
            "lr_scheduler_type": knobs.schedule,
            "lr_warmup_ratio": knobs.warmup,
            "min_lr_ratio": knobs.min_lr_ratio,
        },
        "fsdp": _FSDP | {"torch_dtype": "bf16"},
        "offload": {"offload_params": knobs.offload_parameters, "offload_optimizer": knobs.offload_optimizer},
    }


def _rollout(recipe: TrainingRecipe, knobs: Knobs) -> dict[str, Any]:
    validation = {"temperature": knobs.val_temperature, "top_p": knobs.val_top_p, "n": knobs.val_rollouts}
    return {
        "n": knobs.rollouts,
        "temperature": knobs.temperature,
        "top_p": knobs.top_p,
        "seed": recipe.seed,
        "gpu_memory_utilization": knobs.gpu_memory,
        "tensor_parallel_size": knobs.tensor_parallel,
        "val_override_config": validation,
    }


def _trainer(recipe: TrainingRecipe, base: Backbone, stage: str, knobs: Knobs, target: Path) -> dict[str, Any]:
    return {
        "total_epochs": knobs.epochs,
        "max_steps": knobs.max_steps,
        "project_name": "capcurriculum",
        "experiment_name": stage,
        "logger": ["console", "file"],
        "nnodes": recipe.nodes,
        "n_gpus_per_node": recipe.gpus or base.gpus,
        "val_freq": knobs.validate_every or -1,
        "val_before_train": bool(knobs.validate_every),
        "save_freq": knobs.save_every,
        "save_limit": knobs.keep_checkpoints,
        "save_checkpoint_path": str(target),
        # Safe, since every stage has its own folder.
        "find_last_checkpoint": True,
    }
