"""Benchmarks in VLMEvalKit's table format: `index, image, question, A, B, ..., answer`, tabs between, images as base64.

Read row by row, so a file of gigabytes needs no more memory than its texts. Unlike the kit, which reads with pandas, an
option that says `None` or `NA` stays an option.
"""

import ast
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase

from capcurriculum import prompts
from capcurriculum.errors import EvaluationError
from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.image_decoding import ImageProblem
from evaluation.benchmarks.benchmark import Benchmark, Item, gold_fault, made
from evaluation.benchmarks.images import Pictures, decoded

#: A cell this short names another row whose image it shares.
_SHORTEST_IMAGE = 64
_LONGEST_CELL = 2**31 - 1


def read(path: Path, pictures: Pictures, limit: int | None = None) -> Benchmark:
    """The benchmark of a file, its pictures put aside; with `limit` only its first samples.

    Raises:
        EvaluationError: it is no such table.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t")
            names = {_column(name) for name in reader.fieldnames or ()}
            if lacking := [name for name in ("index", "question", "answer") if name not in names]:
                raise EvaluationError(
                    f"{path} has no column {lacking[0]}; a benchmark has index, image, question, A, B, ..., answer, "
                    "with tabs between."
                )
            rows = ({_column(k): v if isinstance(v, str) else "" for k, v in row.items()} for row in reader)
            return made(path.stem, _items(rows, path, pictures, limit), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"The benchmark {path} cannot be read: {error}.") from error


def _column(name: str | None) -> str:
    """Columns are told apart without regard to case, those of the options aside."""
    name = (name or "").strip()
    return name if name in ascii_uppercase else name.lower()


def _items(rows: Iterator[Mapping[str, str]], path: Path, pictures: Pictures, limit: int | None) -> Iterator[Item]:
    shared: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        index = row["index"].strip()
        options = tuple(row[letter] for letter in _letters(row))
        problem = prompts.choice(row["question"], dict(zip(ascii_uppercase, options, strict=False)))
        problem = problem if options else row["question"]
        problem = f"Hint: {row['hint']}\n{problem}" if row.get("hint") else problem
        gold = row["answer"].strip()
        shown: tuple[str, ...] = ()
        fault = gold_fault(gold, options)
        try:
            shown = shared[index] = _shown(row, shared, path, pictures)
        except ImageProblem as error:
            fault = error.detail
        yield Item(index, problem, row["question"], options, gold, shown, row.get("category", ""), fault)


def _letters(row: Mapping[str, str]) -> list[str]:
    """The letters of the options of a row, as far as they follow one another."""
    found = []
    for letter in ascii_uppercase:
        if not row.get(letter, ""):
            break
        found.append(letter)
    return found


def _shown(
    row: Mapping[str, str], shared: Mapping[str, tuple[str, ...]], path: Path, pictures: Pictures
) -> tuple[str, ...]:
    """The pictures of a row, kept."""
    cell = row.get("image", "").strip()
    if cell and len(cell) <= _SHORTEST_IMAGE and not cell.startswith("["):
        if cell not in shared:
            raise ImageProblem(Reason.MISSING_FILE, f"its image is that of the row {cell!r}, which is not above")
        return shared[cell]
    if cell:
        return tuple(pictures.keep(decoded(one)) for one in _list(cell))
    names = _list(row.get("image_path", "").strip())
    folders = (path.parent, path.parent / "images" / path.stem)
    return tuple(pictures.keep(image_decoding.file_bytes(_file(folders, name))) for name in names)


def _file(folders: tuple[Path, ...], name: str) -> Path:
    """The file of that name in the first folder that has it; the kit keeps pictures below `images/NAME`."""
    for folder in folders[:-1]:
        try:
            return image_decoding.inside(folder, name)
        except ImageProblem:
            continue
    return image_decoding.inside(folders[-1], name)


def _list(cell: str) -> list[str]:
    """A cell that holds one text, or several written as a Python or JSON list."""
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
