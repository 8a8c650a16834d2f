"""VLMEvalKit's TSV files, which it reads with pandas: write benchmarks, read results."""

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from capcurriculum.errors import EvaluationError
from capcurriculum.files import json_file
from capcurriculum.tables import write_atomically
from evaluation.benchmarks.benchmark import Benchmark, Item

#: Texts that pandas reads as a missing value; a trailing space prevents this.
_MISSING = frozenset(
    ("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
     "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
_LONGEST_CELL = 2**31 - 1


def askable(benchmark: Benchmark) -> list[Item]:
    """The samples that are given to the kit; its indexes are their positions."""
    return [item for item in benchmark.items if not item.fault]


def write(path: Path, benchmark: Benchmark, folder: Path) -> None:
    """Write a benchmark, whose images lie in `folder`, for the class of the kit that shows a file's `prompt`."""
    items = askable(benchmark)
    letters = ascii_uppercase[: max((len(item.options) for item in items), default=0)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(("index", "image", "question", *letters, "answer", "category", "prompt", "split", "source"))
    for place, item in enumerate(items):
        options = [_kept(option) for option in item.options] + [""] * (len(letters) - len(item.options))
        answer = item.gold.upper() if item.options else _kept(item.gold)
        shown = (place, _images(item, folder), _kept(item.question), *options, answer, _kept(item.skill) or "all")
        writer.writerow((*shown, _kept(item.problem), "none", "all"))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode("utf-8", "replace"))


def _kept(text: str) -> str:
    return f"{text} " if text in _MISSING else text


def _images(item: Item, folder: Path) -> str:
    """One image as base64, several as the list that the kit reads."""
    found = [base64.b64encode((folder / name).read_bytes()).decode() for name in item.images]
    return found[0] if len(found) == 1 else str(found)


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one of the kit's files; raises `EvaluationError` where it cannot be read."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle, delimiter="\t"):
                yield {str(key): value if isinstance(value, str) else "" for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"The kit's file {path} cannot be read: {error}.") from error


def status(path: Path, name: str) -> dict[str, Any]:
    """The entry of a benchmark in the kit's `status.json`, {} if there is none."""
    try:
        found = json_file.read(path)["datasets"][name]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
