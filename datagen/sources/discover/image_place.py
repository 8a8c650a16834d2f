"""Where the images lie that rows name: beside them, in a folder below, or in an archive."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from datagen.image_decoding import ImageProblem
from datagen.sources.discover import columns
from datagen.sources.formats import archives, file_names
from datagen.sources.formats.record import Record

#: Names of images that are looked for, and folders that they are looked for in.
_NAMES, _FOLDERS = 20, 200


def below(base: Path, rows: Sequence[Record], column: str) -> str:
    """The folder or archive below `base` that holds the images that rows name in a column.

    It is "" where they lie beside the rows, are embedded, or are nowhere.
    """
    named = [(row.folder, name) for row in rows for name in _names(row, column)][:_NAMES]
    if not named or any(_lies(base, f"{folder}/{name}") or _lies(base, name) for folder, name in named):
        return ""
    folders = islice(sorted(one for one in base.glob("**/") if one != base), _FOLDERS)
    counted = {one: sum(_lies(one, name) for _, name in named) for one in folders}
    best = max(counted, key=lambda one: (counted[one], -len(one.parts)), default=base)
    if counted.get(best):
        return best.relative_to(base).as_posix()
    packed = [one for one in sorted(base.iterdir()) if archives.is_archive(one) and one.is_file()]
    return packed[0].name if len(packed) == 1 else ""


def _names(row: Record, column: str) -> Iterator[str]:
    """The name of the image file that a row names."""
    value = row.get("file_name") if column == "image" and row.get(column) is None else row.get(column)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        value = None if value.get("bytes") else value.get("path")
    if isinstance(value, str) and columns.named_image(value) and "://" not in value:
        yield value


def _lies(folder: Path, name: str) -> bool:
    try:
        file_names.inside(folder, name)
    except ImageProblem:
        return False
    return True
