"""verl's configuration of the reward: which function, with which weights, under which of verl's reward managers.

A reply's length in tokens is known to verl's managers and not to a reward function, so length is shaped by verl's own
`dapo` manager, which calls the same function and then adds its soft overlong punishment.
"""

from pathlib import Path
from typing import Any

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import RewardSection
from training.knobs import Knobs

#: Keys, or their beginnings, that verl's packaged configuration does not name.
ADDED = ("reward.custom_reward_function.reward_kwargs.", "reward.reward_kwargs.")
_FILE = Path(__file__).parents[1] / "reward.py"


def reward_keys(section: RewardSection, knobs: Knobs) -> dict[str, Any]:
    """verl's dotted keys for the reward of one stage.

    Raises:
        RecipeError: the punished part of a reply is not shorter than the longest reply.
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
    punishment = "reward.reward_kwargs.overlong_buffer_cfg"
    return keys | {
        "reward.reward_manager.name": "dapo",
        "reward.reward_kwargs.max_resp_len": knobs.max_response_tokens,
        f"{punishment}.enable": True,
        f"{punishment}.len": buffer,
        f"{punishment}.penalty_factor": section.soft_overlong.penalty,
        # verl would add a tensor to the metrics of every reply, which its validation cannot average.
        f"{punishment}.log": False,
    }
