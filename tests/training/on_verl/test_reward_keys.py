"""The recipe's reward section becomes verl's keys, and adds none while it is off."""

import pytest

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import RewardSection, SoftOverlong, StageRun, TrainingRecipe
from training import knobs
from training.on_verl import reward_keys

KNOBS = knobs.resolve(TrainingRecipe(), StageRun(stage="perception"))


def test_the_default_is_accuracy_and_format_alone() -> None:
    keys = reward_keys.reward_keys(RewardSection(), KNOBS)
    assert {key.rpartition(".")[2]: value for key, value in keys.items() if "kwargs" in key} == {
        "accuracy_weight": 0.9,
        "format_weight": 0.1,
    }
    assert not [key for key in keys if "manager" in key or "overlong" in key]


def test_penalties_are_said_to_verl() -> None:
    section = RewardSection(unparsed_penalty=0.2, soft_overlong=SoftOverlong(buffer_tokens=32, penalty=0.5))
    keys = reward_keys.reward_keys(section, KNOBS)
    assert keys["reward.custom_reward_function.reward_kwargs.unparsed_penalty"] == 0.2
    assert keys["reward.reward_manager.name"] == "dapo"
    assert keys["reward.reward_kwargs.max_resp_len"] == KNOBS.max_response_tokens
    assert keys["reward.reward_kwargs.overlong_buffer_cfg.len"] == 32
    assert keys["reward.reward_kwargs.overlong_buffer_cfg.penalty_factor"] == 0.5


def test_a_buffer_as_long_as_a_reply_is_refused() -> None:
    section = RewardSection(soft_overlong=SoftOverlong(buffer_tokens=KNOBS.max_response_tokens))
    with pytest.raises(RecipeError, match=r"buffer_tokens is 96, and a reply has at most 96 tokens .* smaller"):
        reward_keys.reward_keys(section, KNOBS)
    with pytest.raises(ValueError, match="Extra inputs"):
        TrainingRecipe.model_validate({"reward": {"length": "cosine"}})
