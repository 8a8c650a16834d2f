"""Benchmarks in VLMEvalKit's TSV format: `index, image, question, A, B, ..., answer`, with images as base64.

Rows are read one at a time, so a file of gigabytes needs no more memory than its texts. Unlike in the kit, which reads
with pandas, an option `None` or `NA` stays an option.
"""

import ast
import csv
import json
from collections.abc import Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from string import ascii_uppercase

from capcurriculum import prompts
from capcurriculum.errors import EvaluationError
from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.image_decoding import ImageProblem
from evaluation.benchmarks.benchmark import Benchmark, Item, gold_fault, made
from evaluation.benchmarks.images import ImageStore, decoded

#: A shorter cell is the index of another row with the same image.
_SHORTEST_IMAGE = 64
_LONGEST_CELL = 2**31 - 1


def read(path: Path, images: ImageStore, limit: int | None = None) -> Benchmark:
    """The benchmark in a file, or its first `limit` samples; its images go to `images`.

    Raises:
        EvaluationError: the file is not such a table.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t")
            names = {_column(name) for name in reader.fieldnames or ()}
            if lacking := [name for name in ("index", "question", "answer") if name not in names]:
                raise EvaluationError(
                    f"{path} has no column {lacking[0]}; a benchmark has the tab-separated columns index, image, "
                    "question, A, B, ..., answer."
                )
            rows = ({_column(k): v if isinstance(v, str) else "" for k, v in row.items()} for row in reader)
            return made(path.stem, _items(rows, path, images, limit), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"The benchmark {path} cannot be read: {error}.") from error


def _column(name: str | None) -> str:
    """Column names ignore case, except the letters of the options."""
    name = (name or "").strip()
    return name if name in ascii_uppercase else name.lower()


def _items(rows: Iterator[Mapping[str, str]], path: Path, images: ImageStore, limit: int | None) -> Iterator[Item]:
    shared: dict[str, tuple[str, ...]] = {}
    for row in islice(rows, limit):
        index = row["index"].strip()
        texts = options(row)
        problem = prompts.choice(row["question"], dict(zip(ascii_uppercase, texts, strict=False)))
        problem = problem if texts else row["question"]
        problem = f"Hint: {row['hint']}\n{problem}" if row.get("hint") else problem
        gold = row["answer"].strip()
        shown: tuple[str, ...] = ()
        fault = gold_fault(gold, texts)
        try:
            shown = shared[index] = _images(row, shared, path, images)
        except ImageProblem as error:
            fault = error.detail
        yield Item(index, problem, row["question"], texts, gold, shown, row.get("category", ""), fault)


def options(row: Mapping[str, str]) -> tuple[str, ...]:
    """The texts of the options of a row, from A to the letter before the first empty one."""
    return tuple(takewhile(bool, (row.get(letter, "") for letter in ascii_uppercase)))


def _images(
    row: Mapping[str, str], shared: Mapping[str, tuple[str, ...]], path: Path, images: ImageStore
) -> tuple[str, ...]:
    """The stored images of a row."""
    cell = row.get("image", "").strip()
    if cell and len(cell) <= _SHORTEST_IMAGE and not cell.startswith("["):
        if cell not in shared:
            raise ImageProblem(Reason.MISSING_FILE, f"its image is that of the row {cell!r}, which is not above")
        return shared[cell]
    if cell:
        return tuple(images.keep(decoded(one)) for one in _list(cell))
    names = _list(row.get("image_path", "").strip())
    folders = (path.parent, path.parent / "images" / path.stem)
    return tuple(images.keep(image_decoding.file_bytes(_file(folders, name))) for name in names)


def _file(folders: tuple[Path, ...], name: str) -> Path:
    """The file of that name in the first folder that has it; the kit keeps images below `images/NAME`."""
    for folder in folders[:-1]:
        try:
            return image_decoding.inside(folder, name)
        except ImageProblem:
            continue
    return image_decoding.inside(folders[-1], name)


def _list(cell: str) -> list[str]:
    """The texts of a cell: one, or a list in Python or JSON syntax."""
    if not cell.startswith("["):
        return [cell] if cell else []
    try:
        found = json.loads(cell)
    except ValueError:
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise ImageProblem(Reason.UNREADABLE_IMAGE, "the list of its images cannot be read") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ImageProblem(Reason.UNREADABLE_IMAGE, "the list of its images holds something else")
    return found
