"""Keys of verl's own that a recipe sets: which may be set, where they go, and that verl itself is asked."""

import sys
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from tests.support.installed import needs
from training import knobs
from training.on_verl import compose, config, environment, overrides, recipe_keys
from training.preflight.machine import need

PATHS = config.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), Path("/c"))


def keys(stage: StageRun | None = None, **settings: Any) -> dict[str, Any]:
    run = stage or StageRun(stage="text")
    recipe = TrainingRecipe(stages=(run,), **settings)
    return config.config(recipe, knobs.backbone(recipe.backbone), run, knobs.resolve(recipe, run), PATHS, 31)


def test_they_are_the_last_layer_and_a_stages_own_come_after() -> None:
    wanted = {"actor_rollout_ref.actor.entropy_coeff": 0.001, "algorithm.norm_adv_by_std_in_grpo": False}
    got = keys(StageRun(stage="text", verl={"actor_rollout_ref.actor.entropy_coeff": "1e-4"}), verl=wanted)
    assert got["actor_rollout_ref.actor.entropy_coeff"] == 1e-4  # which YAML reads as a text
    assert got["algorithm.norm_adv_by_std_in_grpo"] is False
    words = overrides.arguments(got)
    assert "actor_rollout_ref.actor.entropy_coeff=0.0001" in words


def test_they_are_part_of_what_a_stage_was_begun_with() -> None:
    plain = overrides.identity(keys())
    assert overrides.identity(keys(verl={"actor_rollout_ref.actor.ppo_epochs": 2})) != plain
    assert overrides.identity(keys(verl={"actor_rollout_ref.rollout.agent.num_workers": 4})) == plain


def test_a_plus_adds_a_key_that_verls_configuration_does_not_name() -> None:
    got = keys(verl={"+actor_rollout_ref.rollout.engine_kwargs.vllm.enable_prefix_caching": True})
    assert "+actor_rollout_ref.rollout.engine_kwargs.vllm.enable_prefix_caching=true" in overrides.arguments(got)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data.shuffle", True, r"set training.knobs.shuffle; else the order of the rows is the curriculum's"),
        ("data.train_files", "x", "set training.order"),
        ("actor_rollout_ref.rollout.n", 16, "set training.knobs.rollouts"),
        ("actor_rollout_ref.actor.freeze_vision_tower", True, "verl 0.9.1 ignores it; set training.knobs.freeze"),
        ("actor_rollout_ref.rollout.name", "sglang", "weights are handed to vLLM"),
        ("actor_rollout_ref.rollout.tensor_model_parallel_size", 2, "set training.knobs.tensor_parallel"),
        ("actor_rollout_ref.actor.ulysses_sequence_parallel_size", 2, "set training.knobs.sequence_parallel"),
        ("actor_rollout_ref.actor.fsdp_config.param_offload", True, "set training.knobs.offload_parameters"),
        ("actor_rollout_ref.model.lora_rank", 8, "set training.knobs.lora_rank"),
        ("actor_rollout_ref.model.lora.rank", 8, "the keys below model.lora are Megatron's"),
        ("model.target_modules", "all-linear", "set training.knobs.lora_modules"),
        ("reward.num_workers", 3, "set training.reward"),
        ("trainer.total_epochs", 3, "set training.knobs.epochs or max_steps"),
        ("+trainer.nnodes", 3, "set training.nodes"),
        ("hydra.run.dir", "/", "below the training's folder"),
        ("actor_rollout_ref.model.external_lib", "evil", "would load code"),
        ("actor_rollout_ref.model.trust_remote_code", True, "would load code"),
        ("+actor_rollout_ref.rollout.agent.agent_loop_manager_class", "evil.Loops", "would load code"),
        ("actor_rollout_ref.rollout.agent.agent_loop_manager_class", "a.b.C", "would load code"),
        ("actor_rollout_ref.rollout.checkpoint_manager_class", "a.b.C", "would load code"),
        ("trainer.checkpoint_callback_class", "a.b.C", "would load code"),
        ("actor_rollout_ref.rollout.multi_turn.function_tool_path", "tool.py", "would load code"),
        ("+actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls", "a.b.C", "would load code"),
        ("+actor_rollout_ref.rollout.engine_kwargs.vllm.logits_processors", ("a.b:C",), "would load code"),
        ("+actor_rollout_ref.rollout.engine_kwargs.vllm.tool_parser_plugin", "t.py", "would load code"),
        ("+actor_rollout_ref.rollout.engine_kwargs.vllm.load_format", "pt", "would load code"),
        ("+actor_rollout_ref.rollout.engine_kwargs.vllm.hf_token", "hf_x", "would load code"),
        ("+ray_kwargs.ray_init.address", "ray://far.example:10001", "set training.ray"),
        ("actor_rollout_ref.actor.optim.optimizer_impl", "evil", "would load code"),
        ("+ray_kwargs.ray_init.runtime_env.py_modules", "evil", "would load code"),
        ("actor_rollout_ref.actor.profiler.finish_hook_cmd", "rm", "would load code"),
        ("data.custom_cls.path", "evil.py", "would load code"),
        ("actor_rollout_ref.rollout.agent.agent_loop_config_path", "evil.yaml", "would load code"),
        ("trainer.notes", "${oc.env:HF_TOKEN}", r"a text with \$\{"),
        ("trainer.notes", ("a", "${oc.env:HF_TOKEN}"), r"a text with \$\{"),
        ("trainer.notes", "a\nb", "control character"),
        ("lr", 1, "no key of verl's; keys are dotted"),
        ("a.b=1 c.d", 1, "no key of verl's"),
        ("~trainer.logger", 1, "no key of verl's"),
    ],
)
def test_what_something_here_depends_on_and_what_runs_programs_is_refused(key: str, value: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        keys(verl={key: value})
    assert f"training.verl of stage text sets {key!r}" in str(caught.value)


def test_a_key_that_only_begins_like_one_of_ours_may_be_set() -> None:
    assert keys(verl={"actor_rollout_ref.rollout.n_gpus_per_node": 8})["actor_rollout_ref.rollout.n_gpus_per_node"] == 8


def test_a_type_that_has_no_size_is_a_sentence() -> None:
    made = keys(verl={"actor_rollout_ref.actor.fsdp_config.model_dtype": "fp12"})
    with pytest.raises(RecipeError, match=r"model_dtype to fp12, which is none of fp32, bf16 and fp16"):
        need.of_grpo("text", 10, Path("/c"), made)


def test_every_key_that_a_knob_settles_and_that_is_learned_by_names_the_knob() -> None:
    """A knob and `training.verl` never say two things: what is refused says which knob."""
    plain = keys()
    for name, changed in (("batch_size", 16), ("rollouts", 3), ("mini_batch_size", 4), ("max_prompt_tokens", 300)):
        run = StageRun(
            stage="text", knobs=KnobChanges(**{"update_micro_batch": 1, "log_prob_micro_batch": 1, name: changed})
        )
        other = {key: value for key, value in keys(run).items() if plain.get(key) != value}
        own = [key for key in other if "micro_batch" not in key and "max_model_len" not in key]
        for key in own:
            with pytest.raises(RecipeError, match=name):
                recipe_keys.checked({key: 1}, "text")


def test_trackers_stand_beside_the_console_and_the_file() -> None:
    got = keys(logger=("wandb", "tensorboard"), project="vlm", run_name="try-1", log_samples=8)
    assert got["trainer.logger"] == ["console", "file", "wandb", "tensorboard"]
    assert (got["trainer.project_name"], got["trainer.experiment_name"]) == ("vlm", "try-1-text")
    assert got["trainer.log_val_generations"] == 8
    assert overrides.identity(got) == overrides.identity(keys())
    with pytest.raises(ValueError, match="logger"):
        TrainingRecipe.model_validate({"logger": ["clearml"]})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_verl_says_which_key_it_does_not_know() -> None:
    needs("verl", extra="train")
    good = overrides.arguments(keys(verl={"actor_rollout_ref.actor.ppo_epochs": 2}))
    typing = overrides.arguments(keys(verl={"actor_rollout_ref.actor.ppo_epoch": 2}))
    wrong = overrides.arguments(keys(verl={"actor_rollout_ref.actor.loss_agg_mode": "sum-of-all"}))
    variables = environment.trainer_environment("cpu")
    said = compose.faults(sys.executable, variables, [("grpo", good), ("grpo", typing), ("grpo", wrong)])
    assert said is not None
    assert said[0] == ""
    assert "ppo_epoch" in said[1]
    assert "sum-of-all" in said[2]
    assert compose.faults("/nowhere/python3", variables, [("grpo", good)]) is None
