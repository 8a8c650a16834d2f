"""Functions of the lmms-eval task of a benchmark file, copied beside the task's YAML and run by lmms-eval's Python.

The prompt is that of the own runner; lmms-eval itself extracts the answer.
"""

import io
from typing import Any

from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer
from PIL import Image


def visual(doc: dict[str, Any]) -> list[Any]:
    """The images of a row."""
    return [Image.open(io.BytesIO(one["bytes"])).convert("RGB") for one in doc["images"] or []]


def text(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The question as the model reads it."""
    return str(doc["problem"])


def process(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Accuracy 1 if the letter that lmms-eval extracts is the gold answer, else 0."""
    letters = [chr(ord("A") + place) for place in range(len(doc["options"]))]
    read = extract_mcq_answer(results[0], choices=letters)
    return {"accuracy": float(read == doc["answer"]), "letter": read}


def last(items: list[str]) -> str:
    """The aggregate that lmms-eval requires of every recorded value; letters have none."""
    return ""
