"""verl's configuration of the reward: function, weights and reward manager.

verl's managers know a reply's length in tokens and a reward function does not, so length is penalized by verl's `dapo`
manager, which calls the same function and subtracts its soft overlong punishment (DAPO, arXiv 2503.14476).
"""

from pathlib import Path
from typing import Any

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import RewardSection
from training.knobs import Knobs

_FILE = Path(__file__).parents[1] / "reward.py"


def reward_keys(section: RewardSection, knobs: Knobs) -> dict[str, Any]:
    """verl's dotted keys for the reward of one stage.

    Raises:
        RecipeError: `buffer_tokens` is not less than the maximum response length.
    """
    function = "reward.custom_reward_function"
    keys: dict[str, Any] = {
        f"{function}.path": str(_FILE),
        f"{function}.name": "compute_score",
        f"{function}.reward_kwargs.accuracy_weight": knobs.accuracy_weight,
        f"{function}.reward_kwargs.format_weight": knobs.format_weight,
    }
    if section.unparsed_penalty:
        keys[f"{function}.reward_kwargs.unparsed_penalty"] = section.unparsed_penalty
    if section.soft_overlong is None:
        return keys
    buffer = section.soft_overlong.buffer_tokens
    if buffer >= knobs.max_response_tokens:
        raise RecipeError(
            f"training.reward.soft_overlong.buffer_tokens is {buffer}, and a reply has at most "
            f"{knobs.max_response_tokens} tokens (max_response_tokens); make the buffer smaller."
        )
    overlong = "reward.reward_kwargs.overlong_buffer_cfg"
    return keys | {
        "reward.reward_manager.name": "dapo",
        "reward.reward_kwargs.max_resp_len": knobs.max_response_tokens,
        f"{overlong}.enable": True,
        f"{overlong}.len": buffer,
        f"{overlong}.penalty_factor": section.soft_overlong.penalty,
        # Would add a tensor to each reply's metrics, which verl's validation cannot average.
        f"{overlong}.log": False,
    }
