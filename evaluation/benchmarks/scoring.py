"""From graded samples to a benchmark's score, or to the sentence why it has none yet."""

from collections.abc import Sequence
from pathlib import Path

from capcurriculum.rows import Outcome
from capcurriculum.stats import wilson
from evaluation.results import results
from evaluation.results.results import Score, State
from evaluation.results.samples import Sample, counts

#: The share of samples that may have failed in a benchmark that is scored: a few broken images must not void it.
MOST_FAILED = 0.01
JUDGE_GONE = "judge unavailable"
ACCURACY = "accuracy"
_ROUNDED = 0.006  # points that an engine's rounding may take away


def score(rows: Sequence[Sample], metric: str = "accuracy", value: float | None = None) -> Score:
    """The score of the samples of one model on one benchmark, none of them missing.

    `value` is the engine's own number in percent. Where it is not the share of right answers, no interval can be told
    from the samples alone.

    Raises:
        ValueError: nothing of them was graded.
    """
    found, first = counts(row.outcome for row in rows), rows[0]
    if not found.graded:
        raise ValueError("there is no score without a graded sample")
    low, high = wilson(found.right, found.graded)
    told = [row.tokens for row in rows if row.tokens is not None and row.outcome != Outcome.FAILED]
    share = 100 * found.right / found.graded
    own = value is None or (metric == ACCURACY and abs(value - share) < _ROUNDED)
    return Score(
        model=first.model,
        suite=first.suite,
        benchmark=first.benchmark,
        score=share if value is None else value,
        low=100 * low if own else None,
        high=100 * high if own else None,
        samples=found.graded,
        tokens=sum(told) / len(told) if told else None,
        judge=first.judge,
        metric=metric,
        right=found.right,
        wrong=found.wrong,
        unparsed=found.unparsed,
        failed=found.failed,
        engine=first.engine,
        setup=first.setup,
        weights=first.weights,
        benchmark_digest=first.benchmark_digest,
    )


def state(rows: Sequence[Sample], wanted: int, most_failed: float = MOST_FAILED) -> tuple[str, str]:
    """(state, a sentence) of a benchmark of `wanted` samples, of which these are known."""
    failed = [row for row in rows if row.outcome == Outcome.FAILED]
    waiting = [row for row in failed if row.detail.startswith(JUDGE_GONE)]
    if waiting:
        return "judge unavailable", f"{len(waiting)} of {wanted} replies wait for a judge: {waiting[0].detail}."
    missing = wanted - len(rows)
    if not rows or missing or len(failed) > most_failed * wanted + 1e-9:
        why = f"; of one: {failed[0].detail}" if failed else ""
        return "incomplete", f"{missing} of {wanted} samples were not asked and {len(failed)} failed{why}."
    return "done", f"{len(failed)} of {wanted} samples failed; of one: {failed[0].detail}." if failed else ""


def keep(
    folder: Path,
    begun: State,
    rows: Sequence[Sample],
    metric: str = "accuracy",
    value: float | None = None,
    why: str = "",
    fault: str = "",
    most_failed: float = MOST_FAILED,
) -> State:
    """Put the state of a benchmark, and its score or none, into an evaluation folder; returns the state.

    `begun` says whose state it is and how many samples there are to ask; `metric` and `value` are as in `score`; `why`
    is what kept the engine from asking all, `fault` what keeps it from a score although all was asked. A larger share
    of failed samples than `most_failed` keeps a benchmark incomplete.
    """
    how, detail = state(rows, begun.samples, most_failed)
    detail = why if why and how == "incomplete" else detail
    if fault and how != "incomplete":
        how, detail = "failed", fault
    answered = len(rows) - sum(row.outcome == Outcome.FAILED and not row.prediction for row in rows)
    found = State.model_validate(begun.model_dump() | {"state": how, "detail": detail, "answered": answered})
    results.put_score(folder, results.named(found), score(rows, metric, value) if how == "done" else None)
    results.put_state(folder, found)
    return found
