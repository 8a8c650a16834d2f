"""Perceptual hashes of a run's images, computed once and kept in the table `image_hashes`.

The hash is `imagehash.phash`: 64 bits that mark the low frequencies above their median, which scaling, recompression
and light retouching hardly change. An image with hardly any content (one colour, one edge) gets no hash, since it would
match all others of its kind.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import Field

from capcurriculum.run import Run
from capcurriculum.tables import Table
from datagen import image_decoding, shown
from datagen.batched import windows
from datagen.image_decoding import ImageProblem

NAME = "image_hashes"
#: Part of signature files; to be raised when the same image gives another hash.
VERSION = 1
#: Minimum of set bits; about half are set unless many frequencies are equal, for lack of content.
FEWEST_BITS = 24
#: A JPEG is decoded at its smallest scale of at least this size, which is much faster.
_DRAFT = (256, 256)
_SHARD = 2_000
_AT_ONCE = 8
MAX_PIXELS = 64_000_000
#: Maximum number of differing bits, of 64, for two hashes of one image; those of unrelated images differ in 32 on
#: average and rarely in under 16.
Distance = Annotated[int, Field(ge=0, le=12)]


@dataclass(frozen=True, slots=True)
class ImageHash:
    """An image's perceptual hash as 16 hex digits, or "" and the problem."""

    image_id: str
    phash: str
    problem: str = ""


def table(run: Run) -> Table[ImageHash]:
    """The run's table of hashes."""
    return run.table(NAME, ImageHash)


def fill(
    run: Run, where: Mapping[str, Path], questions: pl.LazyFrame | None = None, max_pixels: int = MAX_PIXELS
) -> pl.LazyFrame:
    """Hash the images of these questions (default: all of the run) without a hash; returns `hashes` of the table.

    Args:
        run: opened for writing.
        where: stage -> root of its image paths.
        questions: with `image_id`, `image_path` and `stage`.
        max_pixels: larger images are not decoded.
    """
    known = table(run).scan().select("image_id")
    seen = (run.questions.scan() if questions is None else questions).filter(pl.col("image_path") != "")
    seen = seen.select("image_id", "image_path", "stage").unique("image_id", keep="any")
    missing = seen.join(known, on="image_id", how="anti").collect()

    def one(row: tuple[str, str, str]) -> ImageHash:
        image_id, path, stage = row
        return hashed(image_id, where[stage] / path, max_pixels)

    with ThreadPoolExecutor(_AT_ONCE) as pool:  # Pillow releases the GIL
        for window in windows(missing.iter_rows(), _SHARD):
            table(run).append(pool.map(one, window))
    return hashes(table(run).scan())


def hashes(rows: pl.LazyFrame) -> pl.LazyFrame:
    """`image_id` and `phash` (UInt64) of the images that have a hash."""
    number = pl.col("phash").str.to_integer(base=16, dtype=pl.UInt64)
    return rows.filter(pl.col("phash") != "").select("image_id", phash=number).unique("image_id", keep="any")


def hashed(image_id: str, path: Path, max_pixels: int) -> ImageHash:
    """The hash of an image file, or its problem."""
    try:
        value = phash(image_decoding.file_bytes(path), max_pixels)
    except ImageProblem as problem:
        return ImageHash(image_id, "", problem.detail)
    return ImageHash(image_id, "", "hardly any content") if value is None else ImageHash(image_id, f"{value:016x}")


def phash(data: bytes, max_pixels: int) -> int | None:
    """The perceptual hash of an image file, composed onto white; None if it has hardly any content.

    Raises:
        ImageProblem: it has too many pixels, an unexpected format, or is not decodable.
    """
    import imagehash

    with image_decoding.opened(data, max_pixels) as image:
        image.draft("L", _DRAFT)
        bits = imagehash.phash(shown.shown(image)).hash.flatten()
    if int(bits.sum()) < FEWEST_BITS:
        return None
    return int("".join("1" if bit else "0" for bit in bits), 2)
