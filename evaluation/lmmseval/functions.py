"""What lmms-eval calls for a benchmark file; copied beside the task's YAML and run by lmms-eval's own Python.

The question is shown as the own runner shows it; reading the reply is lmms-eval's own work.
"""

import io
from typing import Any

from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer
from PIL import Image


def visual(doc: dict[str, Any]) -> list[Any]:
    """The pictures of a row."""
    return [Image.open(io.BytesIO(one["bytes"])).convert("RGB") for one in doc["images"] or []]


def text(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The question as the model reads it."""
    return str(doc["problem"])


def process(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """1 where the letter that lmms-eval reads in the reply is the right one."""
    letters = [chr(ord("A") + place) for place in range(len(doc["options"]))]
    read = extract_mcq_answer(results[0], choices=letters)
    return {"accuracy": float(read == doc["answer"]), "letter": read}


def last(items: list[str]) -> str:
    """No number comes of the letters; lmms-eval wants one of everything that is kept of a row."""
    return ""
