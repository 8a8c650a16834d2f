"""The reward with the signature of EasyR1's `batch` rewards, which get no options and no answer kind.

A gold answer that is one of the letters A to D is graded as a choice by its letter. A reply that boxes an option's text
is unparsed here, while the verl reward recognizes the option.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from capcurriculum.rows import LETTERS
from training.reward import ACCURACY_WEIGHT, FORMAT_WEIGHT, compute_scores

#: EasyR1 reads the name it prints, and that the function gets all replies of a step at once.
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
