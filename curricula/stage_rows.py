"""One row schema for all three stages, which the Hub viewer and verl's RLHFDataset both read unconverted.

The human columns keep the released data's names; the trainer columns are verl's. Pictures are embedded bytes, and a
text row has an empty list of the same type, so stages can be concatenated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum import prompts
from capcurriculum.passrate import PassRate, pass_rate
from capcurriculum.rows import Answer, Outcome, Question


@dataclass(frozen=True, slots=True)
class StageRow:
    """A kept question with its rollouts; its picture is read only when its shard is written."""

    question: Question
    rollouts: tuple[Answer, ...]
    split: str
    rate: PassRate
    full: bool

    @staticmethod
    def make(question: Question, rollouts: Sequence[Answer], split: str, k: int) -> "StageRow":
        """A row whose rollouts are in order and counted; it is `full` if none of the K was left out."""
        ordered = tuple(sorted(rollouts, key=lambda a: a.rollout))
        return StageRow(question, ordered, split, pass_rate(ordered), len(ordered) >= k)


def features() -> Any:
    """The `datasets.Features` of every stage file."""
    from datasets import Features, Image, List, Value

    text, whole, real = Value("string"), Value("int64"), Value("float64")
    return Features(
        {
            "index": text,
            "problem": text,
            "answer": text,
            "images": List(Image()),
            "source": text,
            "predictions": List(text),
            "correctness": List(Value("bool")),
            "pass_rate": real,
            "question_id": text,
            "stage": text,
            "skill": text,
            "options": List(text),
            "pass_k": whole,
            "pass_n": whole,
            "pass_low": real,
            "pass_high": real,
            "pass_full": Value("bool"),
            "license": text,
            "split": text,
            "data_source": text,
            "prompt": List({"role": text, "content": text}),
            "ability": text,
            "reward_model": {"style": text, "ground_truth": text},
            "extra_info": {
                "index": whole,
                "split": text,
                "question_id": text,
                "stage": text,
                "skill": text,
                "options": List(text),
            },
        }
    )


def record(row: StageRow, index: int, folder: Path) -> dict[str, Any]:
    """The row as one Parquet record, picture bytes included; `index` is its place in the file.

    `correctness` is null where a rollout's answer is unknown: unparsed is not wrong. Where `pass_full` is false,
    rollouts were stopped early, and pass rate and interval say so much and no more: which replies were left out
    depended on those before, so they are no unbiased estimate.
    """
    question, rate = row.question, row.rate
    problem = ("<image>" if question.image_path else "") + question.problem
    return {
        "index": str(index),
        "problem": problem,
        "answer": question.answer,
        "images": _images(question, folder),
        "source": question.source,
        "predictions": [a.answer for a in row.rollouts],
        "correctness": [_correct(a) for a in row.rollouts],
        "pass_rate": rate.rate,
        "question_id": question.question_id,
        "stage": question.stage,
        "skill": question.skill,
        "options": list(question.options),
        "pass_k": rate.k,
        "pass_n": rate.n,
        "pass_low": rate.low,
        "pass_high": rate.high,
        "pass_full": row.full,
        "license": question.license,
        "split": row.split,
        "data_source": f"capcurriculum/{question.stage}",
        "prompt": [{"role": "system", "content": prompts.system()}, {"role": "user", "content": problem}],
        "ability": question.stage,
        "reward_model": {"style": "rule", "ground_truth": question.answer},
        "extra_info": {
            "index": index,
            "split": row.split,
            "question_id": question.question_id,
            "stage": question.stage,
            "skill": question.skill,
            "options": list(question.options),
        },
    }


def _images(question: Question, folder: Path) -> list[dict[str, Any]]:
    if not question.image_path:
        return []
    path = folder / question.image_path
    return [{"bytes": path.read_bytes(), "path": path.name}]


def _correct(answer: Answer) -> bool | None:
    return {Outcome.RIGHT: True, Outcome.WRONG: False}.get(Outcome(answer.outcome))
