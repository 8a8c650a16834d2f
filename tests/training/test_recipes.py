"""The shipped recipes and backbones: each loads, says what the paper or its scripts say, and is one verl accepts."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from capcurriculum import recipe
from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import STAGED
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from tests.support.installed import needs
from tests.support.trainer_scripts import ran
from tests.training.test_plan import stage as planned
from training import dry_run, knobs, plan, stage_sets, supported_models
from training.checkpoints import first_parent
from training.knobs import Knobs
from training.on_verl import config as grpo
from training.on_verl import overrides, sft
from training.stages import Links

RECIPES = Path("curricula/recipes")
SHIPPED = sorted(path for path in RECIPES.rglob("*.yaml"))
PAPER = sorted((RECIPES / "paper").glob("*.yaml"))
#: The released sets and what they give in 15 epochs of 512.
ROWS = {"perception": (3360, 90), "text": (13181, 375), "visual": (16195, 465)}
GPU = ("qwen3_vl_8b", "qwen2_5_vl_7b", "internvl3_8b", "internvl3_5_8b")
#: Those that neither the paper nor its release has.
OURS = ("qwen3_5_9b", "qwen3_5_4b")


def runs(made: Recipe) -> list[StageRun]:
    """The links of a recipe, as they are when its run is built."""
    assert made.training is not None
    order = stage_sets.section(made, made.training.order)
    stages = [str(s) for s in order.stages] if order and order.stages else [*ROWS]
    names = stages if order is None or order.order in STAGED else [order.order]
    return list(made.training.stages) or [StageRun(stage=name) for name in names]


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_every_shipped_recipe_loads_and_settles_its_knobs(path: Path) -> None:
    made = recipe.load(path)
    if made.training:
        for run in runs(made):
            knobs.resolve(made.training, run)


def test_paper_and_micro_recipes_say_the_same_of_different_runs() -> None:
    assert [path.name for path in PAPER] == [path.name for path in sorted((RECIPES / "micro").glob("*.yaml"))]
    for path in PAPER:
        said, micro = (yaml.safe_load(p.read_text()) for p in (path, RECIPES / "micro" / path.name))
        if path.name != "base.yaml":
            assert said == micro
            assert said.keys() == {"extends", "training"}
        assert recipe.load(path).name == "paper"
        assert recipe.load(RECIPES / "micro" / path.name).name == "micro"


def test_trainings_of_one_run_never_share_a_folder() -> None:
    found = [recipe.load(path) for path in PAPER if path.name != "base.yaml"]
    assert len({made.run_dir for made in found}) == 1
    assert len({made.training_dir for made in found}) == len(found)
    whole = recipe.load(RECIPES / "qwen3_vl_8b.yaml")
    assert whole.training_dir == whole.run_dir / "training"
    assert whole.run_dir != found[0].run_dir  # it has other filters, so its rows are others


def test_the_papers_runs_keep_the_papers_rule_and_the_recommended_one_adds_to_it() -> None:
    def names(path: str) -> list[str]:
        return [section.name for section in recipe.load(RECIPES / path).filters]

    rule = ["perception", "rollouts", "difficulty"]
    assert names("paper/base.yaml") == names("micro/base.yaml") == names("paper/merged.yaml") == rule
    assert names("demo.yaml") == ["readable", "wellformed", *rule]
    added = ["readable", "wellformed", "needs_picture", "asks_for_proof"]
    assert names("qwen3_vl_8b.yaml") == [*added, *rule]


def test_what_the_recipes_of_the_paper_mean() -> None:
    said = {path.stem: (recipe.load(path), runs(recipe.load(path))) for path in PAPER}
    stages = {name: "-".join(run.stage for run in links) for name, (_, links) in said.items()}
    assert stages == {
        "base": "perception-text-visual",
        "staged": "perception-text-visual",
        "merged": "merged",
        "merged_open_vision": "merged",
        "perception_only": "perception",
        "text_only": "text",
        "visual_only": "visual",
        "perception_text": "perception-text",
        "perception_visual": "perception-visual",
        "text_visual": "text-visual",
        "order_213": "text-perception-visual",
        "order_321": "visual-text-perception",
        "frozen_vision": "perception-text-visual",
        "caption_sft": "perception-text-visual",
        "difficulty": "difficulty",
        "capability": "perception-text-visual",
        "capability_x_difficulty": "perception-text-visual",
    }
    frozen = {name: [settled(made, run).freeze for run in links] for name, (made, links) in said.items()}
    assert frozen["staged"] == ["", "vision", ""]
    assert frozen["merged"] == frozen["difficulty"] == ["vision"]
    assert frozen["merged_open_vision"] == [""]
    assert frozen["frozen_vision"] == frozen["capability"] == frozen["capability_x_difficulty"] == ["vision"] * 3
    assert [run.method for run in said["caption_sft"][1]] == ["sft", "grpo", "grpo"]
    shuffled = {name for name, (made, links) in said.items() if any(settled(made, run).shuffle for run in links)}
    assert shuffled.isdisjoint({"base", "difficulty", "capability", "capability_x_difficulty"})


def settled(made: Recipe, run: StageRun) -> Knobs:
    assert made.training is not None
    return knobs.resolve(made.training, run)


@pytest.mark.parametrize("backbone", GPU)
def test_the_papers_steps_come_from_its_rows(backbone: str) -> None:
    for as_in, perception in (("paper", 90), ("scripts", 96)):
        made = TrainingRecipe(backbone=backbone, as_in=as_in)  # type: ignore[arg-type]
        for name, (rows, steps) in ROWS.items():
            got = knobs.resolve(made, StageRun(stage=name))
            total = plan.total_steps(rows, got.batch_size, got.epochs, got.max_steps, name)
            assert total[1] == (perception if name == "perception" else steps)
        got = knobs.resolve(made, StageRun(stage="merged"))
        assert plan.total_steps(32736, got.batch_size, got.epochs, got.max_steps, "merged") == (63, 945)
        assert got.batch_size * got.rollouts == 2560
        assert got.batch_size // got.mini_batch_size == 4


def test_the_papers_recipe_gives_the_papers_steps_on_rows_of_the_papers_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the recipe and stage files with as many rows, through everything that settles a plan but the weights."""
    made = recipe.load(RECIPES / "paper/staged.yaml")
    made = made.model_copy(update={"runs": str(tmp_path), "name": "run"})
    assert (made.split.val, made.split.test, made.rollouts.above, made.rollouts.below) == (0.0, 0.0, None, None)
    assert made.training is not None
    # An order is made from tables, of which there are none; and the stages as they lie are not to be drawn anew.
    settings = made.training.knobs.model_copy(update={"shuffle": False})
    plain = made.training.model_copy(update={"order": None, "knobs": settings})
    for name, (rows, _) in ROWS.items():
        folder = tmp_path / "run" / "stages" / name
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"index": pa.array(range(rows))}), folder / "train-00000-of-00001.parquet")
    monkeypatch.setattr(first_parent, "locate", lambda model: tmp_path)
    found = Links(made.model_copy(update={"training": plain}), plain)
    assert [(stage.stage, stage.rows, stage.total_steps) for stage in found.stages] == [
        (name, rows, steps) for name, (rows, steps) in ROWS.items()
    ]
    assert all(stage.batch_size * stage.rollouts == 2560 for stage in found.stages)
    said = " ".join(dry_run.differences(found))
    assert "validation: none, since every row is trained on" in said
    words = found.words(0)
    assert "trainer.test_freq=-1" in words
    assert "trainer.val_before_train=false" in words


def test_a_stage_that_is_to_be_validated_needs_rows_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe.load(RECIPES / "demo.yaml").model_copy(update={"runs": str(tmp_path)})
    folder = tmp_path / "demo" / "stages" / "text"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"index": pa.array(range(64))}), folder / "train-00000-of-00001.parquet")
    settings = TrainingRecipe(stages=(StageRun(stage="text"),), knobs=KnobChanges(validate_every=4))
    with pytest.raises(RecipeError, match=r"every 4 steps and has no validation rows; .* \(split.val\), or set"):
        Links(made.model_copy(update={"training": settings}), settings)


#: Prompt tokens, frozen, micro-batches of update and experience, epochs in the scripts, validate and save every, kept.
SCRIPTS: dict[tuple[str, str], tuple[int, bool, int, int, int, int, int, int]] = {
    ("qwen3_vl_8b", "perception"): (2048, False, 16, 32, 16, 6, 12, 8),
    ("qwen3_vl_8b", "text"): (2048, True, 8, 32, 15, 25, 25, 3),
    ("qwen3_vl_8b", "visual"): (2048, False, 16, 64, 15, 15, 31, 3),
    ("qwen3_vl_8b", "merged"): (2048, True, 8, 32, 15, 45, 45, 3),
    ("qwen2_5_vl_7b", "perception"): (2048, False, 16, 32, 16, 6, 12, 8),
    ("qwen2_5_vl_7b", "text"): (2048, True, 16, 64, 15, 25, 75, 3),
    ("qwen2_5_vl_7b", "visual"): (2048, False, 8, 32, 15, 15, 31, 3),
    ("qwen2_5_vl_7b", "merged"): (2048, True, 16, 32, 15, 45, 45, 3),
    ("internvl3_8b", "perception"): (4096, False, 2, 4, 16, 6, 12, 3),
    ("internvl3_8b", "text"): (2048, True, 8, 32, 15, 25, 25, 3),
    ("internvl3_8b", "visual"): (4096, False, 2, 8, 15, 15, 31, 3),
    ("internvl3_8b", "merged"): (2048, False, 4, 16, 15, 45, 45, 3),
    ("internvl3_5_8b", "perception"): (4096, False, 2, 4, 16, 6, 12, 3),
    ("internvl3_5_8b", "text"): (2048, True, 8, 32, 15, 25, 25, 3),
    ("internvl3_5_8b", "visual"): (4096, False, 2, 8, 15, 15, 31, 3),
    ("internvl3_5_8b", "merged"): (2048, False, 4, 16, 15, 45, 45, 3),
}


@pytest.mark.parametrize(("backbone", "stage"), SCRIPTS)
def test_knobs_are_those_of_the_released_scripts(backbone: str, stage: str) -> None:
    got = knobs.resolve(TrainingRecipe(backbone=backbone, as_in="scripts"), StageRun(stage=stage))
    assert SCRIPTS[backbone, stage] == (
        got.max_prompt_tokens,
        got.freeze == "vision",
        got.update_micro_batch,
        got.log_prob_micro_batch,
        got.epochs,
        got.validate_every,
        got.save_every,
        got.keep_checkpoints,
    )
    damped = (backbone, stage) == ("internvl3_8b", "text")
    learning = (got.learning_rate, got.warmup, got.kl_coef, got.grad_clip, got.clip_low, got.clip_high)
    assert learning == ((3e-7, 0.05, 0.05, 0.5, 0.15, 0.15) if damped else (1e-6, 0.0, 0.01, 1.0, 0.2, 0.3))
    internvl_merged = backbone.startswith("internvl") and stage == "merged"
    assert (got.min_pixels, got.max_pixels) == (262144, 500000 if internvl_merged else 4194304)
    assert got.offload_optimizer == (backbone.startswith("internvl") and stage == "perception")
    assert got.gpu_memory == (0.8 if (backbone, stage) == ("internvl3_5_8b", "perception") else 0.7)
    assert (got.val_temperature, got.val_top_p, got.max_response_tokens) == (0.6, 0.95, 2048)


def test_a_model_of_the_users_own_is_refused_by_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"processor_class": "LlavaProcessor"}')
    assert supported_models.processor(tmp_path) == "LlavaProcessor"
    monkeypatch.setattr(first_parent, "locate", lambda model: tmp_path)
    training = TrainingRecipe(model="my/llava")
    with pytest.raises(TrainerError, match=r"train my/llava on pictures: it has no way to use its LlavaProcessor;"):
        Links(recipe.load(RECIPES / "demo.yaml"), training)
    assert supported_models.processor(tmp_path / "nothing") == ""


def test_the_processors_are_those_that_the_installed_verl_names() -> None:
    found = find_spec("verl")
    if found is None or not found.submodule_search_locations:
        pytest.skip("verl is not installed")
    source = Path(found.submodule_search_locations[0], "utils/tokenizer/tokenizer.py").read_text()
    assert sorted(re.findall(r'case "(\w+Processor)"', source)) == sorted(supported_models.PROCESSORS)


def told(backbone: str, rows: dict[str, int], temperature: float = 0.7, **training: Any) -> list[str]:
    made = recipe.load(RECIPES / "paper/base.yaml")
    sampling = made.rollouts.sampling.model_copy(update={"temperature": temperature})
    made = made.model_copy(update={"rollouts": made.rollouts.model_copy(update={"sampling": sampling})})
    settings = TrainingRecipe(backbone=backbone, **training)
    links, stages = [], []
    for name, count in rows.items():
        run = StageRun(stage=name)
        got = knobs.resolve(settings, run)
        per_epoch, total = plan.total_steps(count, got.batch_size, got.epochs, None, name)
        links.append(SimpleNamespace(run=run, knobs=got))
        stages.append(planned(name, rows=count, steps_per_epoch=per_epoch, total_steps=total))
    chain: Any = SimpleNamespace(base=knobs.backbone(backbone), links=links, stages=stages, recipe=made)
    return dry_run.differences(chain)


def test_a_plan_says_where_it_differs_from_paper_and_scripts() -> None:
    staged = " ".join(told("qwen3_vl_8b", {name: rows for name, (rows, _) in ROWS.items()}))
    assert "15 epochs; the released script says 16, which would be 96 steps" in staged
    assert "an image of max_pixels is 4,096 tokens and a prompt may have 2,048" in staged
    assert "temperature 0.7 as in the released scripts; the data set cards say 1.0" in staged
    assert "vision tower is frozen" not in staged
    merged = " ".join(told("qwen3_vl_8b", {"merged": 32736}, temperature=1.0))
    assert "945 steps; the paper's figure ends at 930" in merged
    assert "the vision tower is frozen, as in the script" in merged
    assert "temperature" not in merged
    scripts = " ".join(told("qwen2_5_vl_7b", {"perception": 3360}, as_in="scripts", knobs={"freeze": "vision"}))
    assert "16 epochs as in the released script; the paper reports 15" in scripts
    assert "weights are frozen that the stage's released script trains" in scripts
    assert told("micro", {"merged": 32736}) == []


COMPOSE = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import verl
from hydra import compose, initialize_config_dir
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config
folder = os.path.join(os.path.dirname(verl.__file__), "trainer", "config")
with initialize_config_dir(folder, version_base=None):
    for name, kind, words in json.load(open(sys.argv[1])):
        config = compose(kind, overrides=words)
        if kind == "ppo_trainer":
            validate_config(config, need_reference_policy(config), need_critic(config))
            actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
            omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
            got = [actor.optim.lr, actor.fsdp_config.model_dtype, config.data.max_pixels]
            carried = config.ray_kwargs.ray_init.get("runtime_env", {}).get("env_vars", {})
            got += [config.actor_rollout_ref.model.external_lib, dict(carried)]
        else:
            engine, optim = omega_conf_to_dataclass(config.engine), omega_conf_to_dataclass(config.optim)
            got = [optim.lr, engine.model_dtype, 0, config.model.external_lib, {}]
        print(json.dumps([name, got]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_verl_accepts_every_shipped_gpu_recipe_on_every_backbone(tmp_path: Path) -> None:
    needs("verl", extra="train")
    paths = grpo.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), Path("/c"))
    wanted, expected = [], {}
    for path in PAPER:
        made = recipe.load(path)
        assert made.training is not None
        for backbone in (*GPU, *OURS):
            settings = made.training.model_copy(update={"backbone": backbone})
            for run in runs(made):
                got, name = knobs.resolve(settings, run), f"{path.stem} {backbone} {run.stage}"
                captions = run.method == "sft"
                config = (sft if captions else grpo).config(settings, knobs.backbone(backbone), run, got, paths, 31)
                words = overrides.arguments(config, *([sft.ADDED] if captions else []))
                wanted.append((name, "sft_trainer_engine" if captions else "ppo_trainer", words))
                freeze = "training.on_verl.freeze_hook" if got.freeze else "training.on_verl.patches.mends_hook"
                carried = {"CAPCURRICULUM_FREEZE": got.freeze} if got.freeze and not captions else {}
                expected[name] = [got.learning_rate, "fp32", 0 if captions else got.max_pixels, freeze, carried]
    unique = {json.dumps([kind, words]): (name, kind, words) for name, kind, words in wanted}
    file = tmp_path / "configurations.json"
    file.write_text(json.dumps([*unique.values()]))
    lines = [json.loads(line) for line in ran(COMPOSE, file).splitlines() if line.startswith('["')]
    assert len(lines) == len(unique)
    for name, got in lines:
        assert got == expected[name], name
