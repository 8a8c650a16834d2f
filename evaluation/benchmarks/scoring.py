"""From graded samples to the score of a benchmark, or to the sentence why it has none yet."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capcurriculum.rows import Outcome
from capcurriculum.stats import wilson
from evaluation.benchmarks.benchmark import Benchmark, Item
from evaluation.results import results
from evaluation.results.results import Score, State
from evaluation.results.samples import Sample, counts

#: The largest share of failed samples of a benchmark that is scored: a few broken images must not void it.
MOST_FAILED = 0.01
JUDGE_GONE = "judge unavailable"
ACCURACY = "accuracy"
_ROUNDED = 0.006  # points that an engine's rounding may take away


def sample(begun: State, item: Item, weights: str, **columns: Any) -> Sample:
    """The row of a sample; `columns` are those that depend on the reply."""
    return Sample(
        model=begun.model,
        suite=begun.suite,
        benchmark=begun.benchmark,
        sample=item.sample,
        setup=begun.setup,
        benchmark_digest=begun.benchmark_digest,
        images=item.images,
        question=item.question,
        options=item.options,
        gold=item.gold,
        engine=begun.engine,
        weights=weights,
        skill=item.skill,
        **columns,
    )


def faulty(begun: State, benchmark: Benchmark | None, weights: str) -> list[Sample]:
    """Failed rows for the samples of a file that cannot be asked."""
    failed = {"prediction": "", "answer": "", "outcome": Outcome.FAILED, "finish": "error"}
    items = benchmark.items if benchmark else ()
    return [sample(begun, item, weights, detail=item.fault, **failed) for item in items if item.fault]


def score(rows: Sequence[Sample], metric: str = ACCURACY, value: float | None = None) -> Score:
    """The score of one model on one benchmark from all its samples.

    `value` is the engine's own number in percent. Unless it is the share of right answers, there is no interval.

    Raises:
        ValueError: no sample was graded.
    """
    found, first = counts(row.outcome for row in rows), rows[0]
    if not found.graded:
        raise ValueError("there is no score without a graded sample")
    low, high = wilson(found.right, found.graded)
    lengths = [row.tokens for row in rows if row.tokens is not None and row.outcome != Outcome.FAILED]
    share = 100 * found.right / found.graded
    is_share = value is None or (metric == ACCURACY and abs(value - share) < _ROUNDED)
    return Score(
        model=first.model,
        suite=first.suite,
        benchmark=first.benchmark,
        score=share if value is None else value,
        low=100 * low if is_share else None,
        high=100 * high if is_share else None,
        samples=found.graded,
        tokens=sum(lengths) / len(lengths) if lengths else None,
        judge=first.judge,
        metric=metric,
        **asdict(found),
        engine=first.engine,
        setup=first.setup,
        weights=first.weights,
        benchmark_digest=first.benchmark_digest,
    )


def state(rows: Sequence[Sample], wanted: int, most_failed: float = MOST_FAILED) -> tuple[str, str]:
    """(state, detail) of a benchmark of `wanted` samples of which these are known."""
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
    metric: str = ACCURACY,
    value: float | None = None,
    why: str = "",
    fault: str = "",
    most_failed: float = MOST_FAILED,
) -> State:
    """Write the state of a benchmark, and its score if it has one, to an evaluation folder; returns the state.

    Args:
        folder: the evaluation folder.
        begun: the initial state; with 0 `samples` the benchmark has as many as there are rows.
        rows: its known samples.
        metric: as in `score`.
        value: as in `score`.
        why: what kept the engine from asking all samples.
        fault: what prevents a score although all were asked.
        most_failed: the largest share of failed samples of a benchmark that is scored.
    """
    wanted = begun.samples or max(len(rows), 1)
    how, detail = state(rows, wanted, most_failed)
    detail = why if why and how == "incomplete" else detail
    if fault and how != "incomplete":
        how, detail = "failed", fault
    answered = len(rows) - sum(row.outcome == Outcome.FAILED and not row.prediction for row in rows)
    changes = {"state": how, "detail": detail, "answered": answered, "samples": wanted}
    found = State.model_validate(begun.model_dump() | changes)
    results.put_score(folder, results.named(found), score(rows, metric, value) if how == "done" else None)
    results.put_state(folder, found)
    return found
