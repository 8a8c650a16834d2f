"""The example row of a set: the middle one of its training order, with a small copy of its image."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.files import checksums
from cards.staged import StagedSet
from datagen import image_decoding, shown

#: The longest side of the image, the longest side up to which it is enlarged by a whole factor, and the largest PNG in
#: bytes; larger ones are written as JPEG.
SIDE, TINY, PNG_BYTES = 512, 128, 300_000
MAX_PIXELS = 100_000_000
_COLUMNS = ("problem", "answer", "options", "images", "source", "license", "skill", "stage", "pass_k", "pass_n")


@dataclass(frozen=True, slots=True)
class Example:
    """A row with the file name of its image ("" without a readable one), which is `enlarged` by this factor."""

    set: str
    split: str
    row: dict[str, Any]
    image: str
    enlarged: int


def example(staged: StagedSet, folder: Path) -> Example | None:
    """The middle row of the first split, its image written to `folder`; None for a set without rows."""
    for split, paths in staged.files.items():
        total = sum(pq.read_metadata(path).num_rows for path in paths)
        if total:
            row = _row(paths, total // 2)
            data = next((image["bytes"] for image in row.pop("images") or [] if image and image["bytes"]), None)
            image, times = _image(data, folder, staged.config) if data else ("", 1)
            return Example(staged.name, split, row, image, times)
    return None


def _row(paths: tuple[Path, ...], place: int) -> dict[str, Any]:
    for path in paths:
        checksums.check([path])
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if place < rows:
                table = file.read_row_group(group, columns=[c for c in _COLUMNS if c in file.schema_arrow.names])
                return dict(table.slice(place, 1).to_pylist()[0])
            place -= rows
    raise IndexError(place)


def _image(data: bytes, folder: Path, name: str) -> tuple[str, int]:
    """Write a small image without metadata; returns its file name ("" where it cannot be read) and its scale."""
    from PIL import Image

    try:
        with image_decoding.opened(data, MAX_PIXELS) as image:
            small = shown.shown(image)
            small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    except image_decoding.ImageProblem:
        return "", 1
    times = max(1, 2 * TINY // max(small.size))
    if times > 1:
        small = small.resize((small.width * times, small.height * times), Image.Resampling.NEAREST)
    buffer, ending = io.BytesIO(), "png"
    small.save(buffer, "PNG", optimize=True)
    if buffer.tell() > PNG_BYTES:
        buffer, ending = io.BytesIO(), "jpg"
        small.save(buffer, "JPEG", quality=88)
    folder.mkdir(exist_ok=True)
    file = f"example-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.{ending}"
    (folder / file).write_bytes(buffer.getvalue())
    return file, times
