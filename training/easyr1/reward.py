"""The project's reward with the signature of EasyR1's `batch` rewards, which are passed no options and no kind.

An answer that is one of the letters A to D is then graded as a choice by its letter; whoever boxes an option's text in
place of its letter is read as saying nothing, where the verl reward would know the option.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from capcurriculum.rows import LETTERS
from training.reward import ACCURACY_WEIGHT, FORMAT_WEIGHT, compute_scores

#: What EasyR1 reads: the name it prints, and that all replies of a step come at once.
REWARD_NAME, REWARD_TYPE = "capcurriculum", "batch"
_OPTIONS = {"options": [f"option {letter}" for letter in LETTERS]}


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]],
    accuracy_weight: float = ACCURACY_WEIGHT,
    format_weight: float = FORMAT_WEIGHT,
) -> list[dict[str, float]]:
    """`overall`, `accuracy` and `format` of each reply, of which the inputs hold `response` and `ground_truth`."""
    answers = [str(one["ground_truth"]) for one in reward_inputs]
    scores = compute_scores(
        ["easyr1"] * len(answers),
        [str(one["response"]) for one in reward_inputs],
        answers,
        [_OPTIONS if answer in LETTERS else None for answer in answers],
        accuracy_weight=accuracy_weight,
        format_weight=format_weight,
    )
    return [
        {"overall": float(one["score"]), "accuracy": float(one["accuracy"]), "format": float(one["format"])}
        for one in scores
    ]
