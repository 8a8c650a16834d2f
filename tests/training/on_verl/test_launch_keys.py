"""Nothing of what is learned is left to verl's defaults: the written table, held against what verl would read."""

import pytest
import yaml

from benchmarks import launch_keys
from capcurriculum.recipe.training import StageRun, TrainingRecipe
from tests.support.installed import needs

TABLE = yaml.safe_load(launch_keys.TABLE.read_text(encoding="utf-8"))


def test_a_key_that_differs_and_one_that_nobody_wrote_down_are_named() -> None:
    launch = launch_keys.Launch("one", TrainingRecipe(backbone="qwen3_vl_8b"), StageRun(stage="text"))
    keys = dict(launch.keys) | TABLE["learned"]
    settled = {key: launch.keys.get(key) for key in TABLE["knobs"]}
    keys |= {key: value for key, value in settled.items() if value is not None}
    _, lines = launch_keys.unlike(launch, keys | {"actor_rollout_ref.actor.ppo_epochs": 2, "algorithm.new": 1}, TABLE)
    assert "one: actor_rollout_ref.actor.ppo_epochs is 2, and the table says 1" in lines
    assert "one: algorithm.new stands nowhere in launch_keys.yaml" in lines


def test_every_shipped_recipe_is_among_the_launches() -> None:
    names = {launch.name.partition("/")[0] for launch in launch_keys.launches()}
    assert len(launch_keys.launches()) > 30
    assert {"demo", "staged", "qwen3_vl_8b"} & names


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_verl_reads_what_the_table_says() -> None:
    needs("verl", extra="train")
    assert launch_keys.checked() > 4000
