"""The split that a data file's name says, and Hugging Face's `imagefolder` layout.

An imagefolder keeps `metadata.jsonl`, `.csv` or `.parquet` beside the images, in each split's folder; its column
`file_name` names images from there (https://huggingface.co/docs/datasets/image_dataset).
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.image_decoding import ImageProblem
from datagen.sources.formats import file_names
from datagen.sources.formats.record import Record

#: Split -> what folders and files call it, as `datasets` reads it off their names.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SEPARATORS = re.compile(r"[-_./ ]+")


def renamed(record: Record, column: str) -> Record:
    """A row of metadata with the column that `datasets` makes of `file_name`, or of `<column>_file_name`."""
    names = ("file_name", f"{column}_file_name") if column == "image" else (f"{column}_file_name",)
    found = next((record.values[name] for name in names if name in record.values), None)
    if found is None or record.get(column) is not None:
        return record
    return replace(record, values={**record.values, column: found})


def beside(base: Path, record: Record, name: object) -> object:
    """What a row's image is called from `base`: from its data file's own folder, if it is there; else as it says."""
    if not isinstance(name, str) or not record.folder:
        return name
    try:
        _, spelled = file_names.inside(base, f"{record.folder}/{name}")
    except ImageProblem:
        return name
    return posixpath.normpath(spelled)


def split_of(file: Path, base: Path, wanted: Iterable[str]) -> str:
    """The split that a file's name and folders tell, as `wanted` calls it where it does; "" where they tell none.

    What stands nearest to the file counts.
    """
    parts = file.relative_to(base).with_suffix("").parts if file.is_relative_to(base) else (file.stem,)
    for part in reversed(parts):
        words = [word.casefold() for word in _SEPARATORS.split(part)]
        for split in wanted:
            if split.casefold() in (part.casefold(), *words):
                return split
        for split, names in _SPLITS.items():
            if any(word in names for word in words):
                return next((one for one in wanted if one.casefold() in names), split)
    return ""


def in_splits(records: Iterator[Record], split: str, wanted: Iterable[str]) -> Iterator[Record]:
    """The rows of a file of this split, refused if it is none of `wanted`."""
    if split in wanted:
        yield from records
        return
    said = f"of the split {split!r}" if split else "in a file whose name tells no split"
    for record in records:
        detail = f"row {record.number} is {said}"
        yield record if record.problem else record.refused(Reason.UNSELECTED_SPLIT, detail)


def check_named(splits: Iterable[str], wanted: Iterable[str], where: Path) -> None:
    """Refuse a selection of splits where neither files nor columns say any.

    Raises:
        SourceError: no file is of a selected split.
    """
    found = sorted({split for split in splits if split})
    if not set(wanted) & set(found):
        named = f"tell {', '.join(found)}" if found else "tell no split"
        raise SourceError(
            f"splits: [{', '.join(wanted)}] is selected for {where}, and the names of its files {named}; name the "
            "column that holds it in the recipe's columns (split: ...), or leave splits out and name the files."
        )
