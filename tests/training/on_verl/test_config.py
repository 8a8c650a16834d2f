"""Knobs are layered and checked, and verl's own configuration accepts what we make of them."""

import json
from pathlib import Path

import pytest

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from capcurriculum.rows import Stage
from tests.support.installed import needs
from tests.support.trainer_scripts import ran
from training import knobs, supported_models
from training.on_verl import config, overrides, sft

PATHS = config.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), Path("/c"))


def keys(recipe: TrainingRecipe, stage: Stage = Stage.VISUAL) -> dict[str, object]:
    run = StageRun(stage=stage)
    return config.config(recipe, knobs.backbone(recipe.backbone), run, knobs.resolve(recipe, run), PATHS, 31)


def test_later_layers_win() -> None:
    text = StageRun(stage=Stage.TEXT, knobs=KnobChanges(learning_rate=3e-7))
    recipe = TrainingRecipe(
        backbone="qwen3_vl_8b", stages=(text,), knobs=KnobChanges(learning_rate=2e-6, epochs=16, save_every=5)
    )
    settled = knobs.resolve(recipe, text)
    assert (settled.learning_rate, settled.epochs, settled.save_every, settled.update_micro_batch) == (3e-7, 16, 5, 8)


def test_stage_knobs_of_the_backbone() -> None:
    recipe = TrainingRecipe(backbone="qwen3_vl_8b")
    got = {stage: knobs.resolve(recipe, StageRun(stage=stage)) for stage in Stage}
    assert [got[s].update_micro_batch for s in Stage] == [16, 8, 16]
    assert [got[s].log_prob_micro_batch for s in Stage] == [32, 32, 64]


def test_passes_are_filled_up_to_a_budget_of_tokens_or_hold_so_many_sequences() -> None:
    large = keys(TrainingRecipe(backbone="qwen3_vl_8b"))
    budget = {name: value for name, value in large.items() if name.endswith("max_token_len_per_gpu")}
    assert set(budget.values()) == {24576}
    assert len(budget) == 3
    assert large["actor_rollout_ref.model.use_fused_kernels"] is True
    assert not [name for name in large if "micro_batch" in name]
    small = keys(TrainingRecipe())
    assert small["actor_rollout_ref.actor.use_dynamic_bsz"] is False
    assert small["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"] == 40
    run = StageRun(stage=Stage.TEXT)
    with pytest.raises(RecipeError, match=r"tokens_per_gpu is 4000 and a prompt with its reply may have 4096 tokens"):
        knobs.resolve(TrainingRecipe(backbone="qwen3_vl_8b", knobs=KnobChanges(tokens_per_gpu=4000)), run)
    with pytest.raises(RecipeError, match="batch_size x rollouts is 2560 and the number of GPUs is 24, which does not"):
        knobs.resolve(TrainingRecipe(backbone="qwen3_vl_8b", gpus=12, nodes=2), run)
    # Fixed micro-batches would not divide over 16 GPUs; passes of a budget need not.
    assert knobs.resolve(TrainingRecipe(backbone="qwen3_vl_8b", nodes=2), run).tokens_per_gpu == 24576


def test_a_learning_rate_may_fall() -> None:
    falling = keys(TrainingRecipe(knobs=KnobChanges(schedule="cosine", min_lr_ratio=0.1)))
    optim = "actor_rollout_ref.actor.optim."
    assert (falling[f"{optim}lr_scheduler_type"], falling[f"{optim}min_lr_ratio"]) == ("cosine", 0.1)
    assert keys(TrainingRecipe())[f"{optim}lr_scheduler_type"] == "constant"
    with pytest.raises(ValueError, match="'constant' or 'cosine'"):
        TrainingRecipe.model_validate({"knobs": {"schedule": "linear"}})


def test_gpus_that_share_a_sequence_count_as_one() -> None:
    def settle(**changes: object) -> knobs.Knobs:
        recipe = TrainingRecipe(backbone="qwen3_vl_8b", knobs=KnobChanges.model_validate(changes), gpus=12)
        return knobs.resolve(recipe, StageRun(stage=Stage.TEXT))

    with pytest.raises(RecipeError, match="batch_size x rollouts is 2560 and the number of GPUs is 12, which does not"):
        settle()
    split = {"sequence_parallel": 3}  # 2560 sequences over four groups
    assert settle(**split, tokens_per_gpu=1366).sequence_parallel == 3
    with pytest.raises(RecipeError, match=r"4096 tokens \(.*\), split over 3 GPUs; raise it to 1366, or set it to 0"):
        settle(**split, tokens_per_gpu=1365)
    with pytest.raises(RecipeError, match="x rollouts is 2560 and the number of groups of GPUs is 6, which does not"):
        settle(sequence_parallel=2)
    with pytest.raises(RecipeError, match="sequence_parallel is 5, which does not divide the 12 GPUs; set training"):
        settle(sequence_parallel=5)
    # verl itself wants so many sequences a step as there are GPUs where passes are micro-batches.
    with pytest.raises(RecipeError, match="batch_size x rollouts is 2560 and the number of GPUs is 12, which does not"):
        settle(**split, tokens_per_gpu=0)


def test_both_models_split_a_sequence_alike_and_what_is_learned_is_the_same() -> None:
    split = TrainingRecipe(
        backbone="qwen3_vl_8b", knobs=KnobChanges(sequence_parallel=2, offload_parameters=True, tensor_parallel=1)
    )
    told, plain = keys(split), keys(TrainingRecipe(backbone="qwen3_vl_8b"))
    sizes = {name: value for name, value in told.items() if name.endswith("ulysses_sequence_parallel_size")}
    assert sizes == {
        "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size": 2,
        "actor_rollout_ref.ref.fsdp_config.ulysses_sequence_parallel_size": 2,
    }
    assert told["actor_rollout_ref.actor.fsdp_config.param_offload"] is True
    assert overrides.identity(told) == overrides.identity(plain)


def test_a_sequence_is_not_split_where_verl_cannot() -> None:
    run = StageRun(stage=Stage.TEXT)
    with pytest.raises(RecipeError, match=r"takes flash attention and so a GPU; set training.knobs.sequence_parallel"):
        knobs.resolve(TrainingRecipe(gpus=2, knobs=KnobChanges(sequence_parallel=2)), run)
    supported_models.check_split("Qwen3VLProcessor", "text", 2)
    supported_models.check_split("MllamaProcessor", "text", 1)
    with pytest.raises(RecipeError, match=r"GLM-4V alone, not of a model with a MllamaProcessor; set training.knobs"):
        supported_models.check_split("MllamaProcessor", "text", 2)


def test_faults_of_a_recipe_are_said() -> None:
    with pytest.raises(RecipeError, match=r"no backbone 'gpt'; backbones are .*, qwen3_vl_8b"):
        knobs.backbone("gpt")
    recipe = TrainingRecipe(knobs=KnobChanges(batch_size=12))
    with pytest.raises(RecipeError, match="batch_size is 12 and mini_batch_size is 8, which does not divide it"):
        knobs.resolve(recipe, StageRun(stage=Stage.TEXT))
    with pytest.raises(ValueError, match="text is listed twice"):
        TrainingRecipe(stages=(StageRun(stage=Stage.TEXT), StageRun(stage=Stage.TEXT)))
    with pytest.raises(ValueError, match="Extra inputs"):
        TrainingRecipe.model_validate({"knobs": {"batchsize": 8}})


def test_a_cpu_changes_only_how_and_not_what() -> None:
    recipe = TrainingRecipe()
    cpu, cuda = keys(recipe), keys(recipe.model_copy(update={"device": "cuda"}))
    assert cuda.items() <= cpu.items()
    learned = ("algorithm.", "data.", "reward.", "actor_rollout_ref.actor.optim", "actor_rollout_ref.rollout.n")
    extra = cpu.keys() - cuda.keys() - {"data.dataloader_num_workers", "reward.num_workers"}
    assert not [key for key in extra if key.startswith(learned)]


def test_the_canary_changes_nothing_that_is_learned() -> None:
    looking, not_looking = keys(TrainingRecipe()), keys(TrainingRecipe(canary=False))
    assert len(looking.keys() - not_looking.keys()) == 2
    assert overrides.identity(looking) == overrides.identity(not_looking)
    assert Path(str(looking["actor_rollout_ref.rollout.agent.agent_loop_config_path"])).is_file()


def test_order_is_the_datas_and_nothing_is_dropped() -> None:
    for backbone in ("micro", "qwen3_vl_8b"):
        got = keys(TrainingRecipe(backbone=backbone))
        assert got["data.shuffle"] is False
        assert got["data.filter_overlong_prompts"] is False
        assert got["data.truncation"] == "error"
        assert not [key for key in got if "freeze" in key]  # verl 0.9.1 would accept and ignore it


def test_a_backbones_template_is_told_alike_by_both_trainers() -> None:
    recipe, run = TrainingRecipe(backbone="qwen3_5_9b"), StageRun(stage=Stage.TEXT, method="sft")
    base = knobs.backbone(recipe.backbone)
    captions = sft.config(recipe, base, run, knobs.resolve(recipe, run), PATHS, 31)
    for got, added in ((keys(recipe), ()), (captions, (sft.ADDED,))):
        assert got["data.apply_chat_template_kwargs.enable_thinking"] is False
        assert "+data.apply_chat_template_kwargs.enable_thinking=false" in overrides.arguments(got, *added)
    assert not [key for key in keys(TrainingRecipe(backbone="qwen3_vl_8b")) if key.startswith(overrides.TEMPLATE)]


def test_identity_leaves_out_places_and_pace() -> None:
    recipe = TrainingRecipe()
    first = overrides.identity(keys(recipe))
    moved = config.Paths((Path("/e/t.parquet"),), (Path("/e/v.parquet"),), Path("/n"), Path("/k"))
    run = StageRun(stage=Stage.VISUAL)
    other = config.config(recipe, knobs.backbone("micro"), run, knobs.resolve(recipe, run), moved, 31)
    assert overrides.identity(other) == first
    slower = config.config(recipe, knobs.backbone("micro"), run, knobs.resolve(recipe, run), PATHS, 32)
    assert overrides.identity(slower) != first


def test_arguments_are_words_hydra_reads() -> None:
    words = overrides.arguments({"a.b": "x y", "c": [1, "z"], "d": True, "ray_kwargs.ray_init.num_gpus": 1, "e": 1e-06})
    assert words == ['a.b="x y"', 'c=[1, "z"]', "d=true", "+ray_kwargs.ray_init.num_gpus=1", "e=1e-06"]


COMPOSE = """
import os, sys, json, warnings
warnings.simplefilter("ignore")
import verl
from hydra import compose, initialize_config_dir
from verl.utils.config import validate_config, omega_conf_to_dataclass
from verl.trainer.ppo.utils import need_critic, need_reference_policy
def compose_one(words):
    with initialize_config_dir(os.path.join(os.path.dirname(verl.__file__), "trainer", "config"), version_base=None):
        config = compose("ppo_trainer", overrides=words)
    validate_config(config, need_reference_policy(config), need_critic(config))
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    print(json.dumps({
        "device": config.trainer.device, "gpus": config.trainer.n_gpus_per_node, "patch": config.data.image_patch_size,
        "shuffle": config.data.shuffle, "lr": actor.optim.lr, "mini": actor.ppo_mini_batch_size,
        "tokens": actor.ppo_max_token_len_per_gpu, "kl": [actor.use_kl_loss, actor.kl_loss_coef, actor.kl_loss_type],
        "dtype": actor.fsdp_config.model_dtype, "n": rollout.n,
        "lengths": [rollout.prompt_length, rollout.response_length],
        "critic": need_critic(config), "save": list(actor.checkpoint.save_contents),
        "kwargs": dict(config.reward.custom_reward_function.reward_kwargs),
    }))
for words in json.loads(sys.argv[1]):
    compose_one(words)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_verl_accepts_the_configuration() -> None:
    needs("verl", extra="train")
    words = [overrides.arguments(keys(TrainingRecipe(backbone=name))) for name in ("qwen3_vl_8b", "micro")]
    gpu, cpu = (json.loads(line) for line in ran(COMPOSE, json.dumps(words)).splitlines() if line.startswith("{"))
    for got in (gpu, cpu):
        assert got["kwargs"] == {"accuracy_weight": 0.9, "format_weight": 0.1}
        assert got["shuffle"] is False
        assert got["critic"] is False
        assert "hf_model" in got["save"]
    assert (gpu["device"], gpu["gpus"], gpu["patch"], gpu["dtype"], gpu["n"]) == ("cuda", 8, 16, "fp32", 5)
    assert (gpu["lr"], gpu["mini"], gpu["tokens"]) == (1e-6, 128, 24576)
    assert gpu["kl"] == [True, 0.01, "low_var_kl"]
    assert gpu["lengths"] == [2048, 2048]
    assert (cpu["device"], cpu["gpus"], cpu["dtype"]) == ("cpu", 1, "fp32")
