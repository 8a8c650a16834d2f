"""Evaluation folders with planted replies."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from capcurriculum.rows import digest
from evaluation.results import results, samples
from evaluation.results.results import Score, State
from evaluation.results.samples import Sample


def reply(model: str, benchmark: str, key: object, outcome: str, tokens: int | None = 10, **changes: Any) -> Sample:
    """One reply to a question with two options whose answer is A."""
    values: dict[str, Any] = {
        "model": model, "suite": "own", "benchmark": benchmark, "sample": str(key), "setup": f"setup-{model}",
        "benchmark_digest": digest("benchmark", benchmark), "images": (), "question": f"Which of {key}?",
        "options": ("this", "that"), "gold": "A", "prediction": f"<think> it is {key} </think> \\boxed{{B}}",
        "answer": {"right": "A", "wrong": "B"}.get(outcome, ""), "outcome": outcome, "tokens": tokens,
    }  # fmt: skip
    return Sample(**(values | changes))


def score(own: Iterable[Sample], **changes: Any) -> Score:
    """The score of some replies of one model to one benchmark."""
    found = list(own)
    first, count = found[0], samples.counts(one.outcome for one in found)
    told = [one.tokens for one in found if one.tokens is not None]
    values: dict[str, Any] = {
        "model": first.model, "suite": first.suite, "benchmark": first.benchmark,
        "score": 100 * count.right / count.graded, "low": None, "high": None, "samples": count.graded,
        "tokens": sum(told) / len(told) if told else None, "judge": "", "right": count.right, "wrong": count.wrong,
        "unparsed": count.unparsed, "failed": count.failed, "engine": "own", "setup": first.setup,
        "weights": first.weights, "benchmark_digest": first.benchmark_digest,
    }  # fmt: skip
    return Score(**(values | changes))


def write(folder: Path, replies: Iterable[Sample], scored: bool = True) -> None:
    """Put replies into an evaluation folder, with the score of each benchmark or as unfinished."""
    parts: dict[results.Name, list[Sample]] = {}
    for one in replies:
        parts.setdefault((one.model, one.suite, one.benchmark), []).append(one)
    for name, own in parts.items():
        samples.append(folder, own)
        first = own[0]
        if scored:
            results.put_score(folder, name, score(own))
        kind: Any = "done" if scored else "incomplete"
        results.put_state(
            folder,
            State(model=name[0], suite=name[1], benchmark=name[2], state=kind, setup=first.setup,
                  benchmark_digest=first.benchmark_digest),
        )  # fmt: skip


def outcomes(model: str, benchmark: str, told: Mapping[object, tuple[str, int | None]], **changes: Any) -> list[Sample]:
    """Replies by sample id -> outcome and tokens."""
    return [reply(model, benchmark, key, outcome, tokens, **changes) for key, (outcome, tokens) in told.items()]
