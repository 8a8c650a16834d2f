"""The reward of a rollout: accuracy and format, weighted 0.9 and 0.1 as in the paper's released code.

Accuracy is `capcurriculum.answers.grade`, the same function that measured the pass rates; format is a thought that says
something followed by a boxed answer. verl loads this file by its path into every reward worker and calls
`compute_score` from several threads, so it keeps no state and no text makes it raise.
"""

from collections.abc import Mapping
from typing import Any

from capcurriculum import answer_text
from capcurriculum.answers import grade
from capcurriculum.rows import Outcome

ACCURACY_WEIGHT = 0.9
FORMAT_WEIGHT = 0.1
_OPEN, _CLOSE = "<think>", "</think>"


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    accuracy_weight: float = ACCURACY_WEIGHT,
    format_weight: float = FORMAT_WEIGHT,
    **ignored: Any,
) -> dict[str, float | str]:
    """Score one reply (the signature is verl 0.9.1's).

    Args:
        data_source: verl's name for where the row is from; it does not change the reward.
        solution_str: the whole reply, special tokens removed.
        ground_truth: the letter of the right option, or the right free answer.
        extra_info: `options`, the four texts, for a choice; empty or absent for a free answer.

    Returns:
        `score` (what GRPO sees), `accuracy` and `format` (0 or 1), `outcome` (an `Outcome`'s value), `answer` (as read
        from the reply, "" if none). verl averages the numbers in validation and passes over the texts.

    Raises:
        ValueError: `ground_truth` is no option's letter; preflight refuses such a row before a run starts.
    """
    # A parquet list arrives as an array, whose truth value numpy refuses.
    options = [] if extra_info is None else extra_info.get("options")
    graded = grade(solution_str, ground_truth, list(options) if options is not None else [])
    accuracy = float(graded.outcome == Outcome.RIGHT)
    formatted = float(well_formed(solution_str))
    return {
        "score": accuracy_weight * accuracy + format_weight * formatted,
        "accuracy": accuracy,
        "format": formatted,
        "outcome": graded.outcome.value,
        "answer": graded.answer,
    }


def well_formed(text: str) -> bool:
    r"""Whether the reply is one `<think>` that holds a thought, then text with a `\boxed{}` that holds an answer."""
    reply = text.strip()
    if not reply.startswith(_OPEN) or reply.count(_OPEN) != 1 or reply.count(_CLOSE) != 1:
        return False
    thought, _, final = reply.removeprefix(_OPEN).partition(_CLOSE)
    return bool(thought.strip()) and bool((answer_text.last_box(final) or "").strip())
