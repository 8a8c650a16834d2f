"""The reward of a rollout: accuracy and format, weighted 0.9 and 0.1 as in the paper's released code.

Accuracy is `capcurriculum.answers.grade`, the function that measured the pass rates; format is a non-empty thought
followed by a boxed answer. Every engine's reward is these functions (docs/engines.md). They are called from several
threads and processes, so they keep no state and raise for no reply.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from capcurriculum.answers import Grade, grade, grade_many
from capcurriculum.grading import extract
from capcurriculum.rows import Outcome

ACCURACY_WEIGHT = 0.9
FORMAT_WEIGHT = 0.1
_OPEN, _CLOSE = "<think>", "</think>"

Score = dict[str, float | str]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    accuracy_weight: float = ACCURACY_WEIGHT,
    format_weight: float = FORMAT_WEIGHT,
    unparsed_penalty: float = 0.0,
    **ignored: Any,
) -> Score:
    """Score one reply, with the signature of verl 0.9.1's reward managers `naive`, `dapo` and `remote`.

    Args:
        data_source: the row's data source; not used.
        solution_str: the whole reply without special tokens.
        ground_truth: the letter of the gold option, or the gold free answer.
        extra_info: `options`, the four texts of a choice (empty or absent for a free answer); `kind`, that of the gold
            answer if its source names one; `question_id`.
        accuracy_weight: weight of accuracy.
        format_weight: weight of format.
        unparsed_penalty: subtracted for a reply without a readable answer, but not if the grader failed.

    Returns:
        `score` (GRPO's reward), `accuracy` and `format` (0 or 1), `outcome` (an `Outcome`'s value), `answer` (as read
        from the reply, "" if none) and `question_id` ("" if the row has none), by which verl's validation dumps
        identify rows. verl averages the numbers in validation and ignores the texts.

    Raises:
        ValueError: `ground_truth` is no option's letter; preflight refuses such a row before a run starts.
    """
    graded = grade(solution_str, ground_truth, _options(extra_info), _kind(extra_info))
    return _score(graded, solution_str, extra_info, (accuracy_weight, format_weight, unparsed_penalty))


def compute_scores(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    *,
    accuracy_weight: float = ACCURACY_WEIGHT,
    format_weight: float = FORMAT_WEIGHT,
    unparsed_penalty: float = 0.0,
    **ignored: Any,
) -> list[Score]:
    """Score a batch, as many replies at once as there are maths workers, with the signature of verl's manager `batch`.

    Arguments, results and errors are those of `compute_score`, one per reply in their order.
    """
    extras = [None] * len(solution_strs) if extra_infos is None else extra_infos
    items = zip(solution_strs, ground_truths, map(_options, extras), map(_kind, extras), strict=True)
    weights = (accuracy_weight, format_weight, unparsed_penalty)
    graded = zip(grade_many(items), solution_strs, extras, strict=True)
    return [_score(one, text, extra, weights) for one, text, extra in graded]


def _options(extra_info: Mapping[str, Any] | None) -> list[str]:
    # A parquet list arrives as a NumPy array, which has no truth value.
    options = None if extra_info is None else extra_info.get("options")
    return [] if options is None else list(options)


def _kind(extra_info: Mapping[str, Any] | None) -> str | None:
    return (extra_info or {}).get("kind") or None


def _score(
    graded: Grade, text: str, extra_info: Mapping[str, Any] | None, weights: tuple[float, float, float]
) -> Score:
    accuracy_weight, format_weight, unparsed_penalty = weights
    accuracy = float(graded.outcome == Outcome.RIGHT)
    formatted = float(well_formed(text))
    penalty = unparsed_penalty if graded.outcome == Outcome.UNPARSED else 0.0
    return {
        "score": accuracy_weight * accuracy + format_weight * formatted - penalty,
        "accuracy": accuracy,
        "format": formatted,
        "outcome": graded.outcome.value,
        "answer": graded.answer,
        "question_id": str((extra_info or {}).get("question_id") or ""),
    }


def well_formed(text: str) -> bool:
    r"""Whether the reply is one non-empty `<think>` block, then text with a non-empty `\boxed{}`."""
    reply = text.strip()
    if not reply.startswith(_OPEN) or reply.count(_OPEN) != 1 or reply.count(_CLOSE) != 1:
        return False
    thought, _, final = reply.removeprefix(_OPEN).partition(_CLOSE)
    return bool(thought.strip()) and bool((extract.last_box(final) or "").strip())
