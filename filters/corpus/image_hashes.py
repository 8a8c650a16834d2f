"""Perceptual hashes of a run's images, made once and kept as the table `image_hashes`.

The hash is `imagehash.phash`: 64 bits that say which of the picture's low frequencies are above their median, so it
hardly changes when a picture is scaled, recompressed or lightly retouched. A picture with hardly any content (one
colour, one edge) has no such bits to tell it from others, and is left without a hash rather than matched to all of its
kind.
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
#: Enters signature files: raise it when the same picture gives another hash.
VERSION = 1
#: Half of the bits are above the median unless many frequencies are equal, as they are where there is no content.
FEWEST_BITS = 24
#: A JPEG is decoded at the smallest of its own scales that is not smaller than this, which is far quicker.
_DRAFT = (256, 256)
_SHARD = 2_000
_AT_ONCE = 8
MAX_PIXELS = 64_000_000
#: In how many of 64 bits two hashes of one picture may differ; those of unrelated pictures differ in 32 on average, and
#: seldom in under 16.
Distance = Annotated[int, Field(ge=0, le=12)]


@dataclass(frozen=True, slots=True)
class ImageHash:
    """An image's perceptual hash as 16 hex digits, or "" and why it has none."""

    image_id: str
    phash: str
    problem: str = ""


def table(run: Run) -> Table[ImageHash]:
    """The hashes that a run has."""
    return run.table(NAME, ImageHash)


def fill(
    run: Run, where: Mapping[str, Path], questions: pl.LazyFrame | None = None, max_pixels: int = MAX_PIXELS
) -> pl.LazyFrame:
    """Hash the images of these questions (None: of all in the run) that have none yet; all there are, see `hashes`.

    Args:
        run: opened for writing.
        where: stage -> the folder its image paths are relative to.
        max_pixels: larger images are not decoded.
    """
    known = table(run).scan().select("image_id")
    shown = (
        (run.questions.scan() if questions is None else questions)
        .filter(pl.col("image_path") != "")
        .select("image_id", "image_path", "stage")
    )
    missing = shown.unique("image_id", keep="any").join(known, on="image_id", how="anti").collect()

    def one(row: tuple[str, str, str]) -> ImageHash:
        image_id, path, stage = row
        return hashed(image_id, where[stage] / path, max_pixels)

    with ThreadPoolExecutor(_AT_ONCE) as pool:  # Pillow decodes outside the interpreter's lock
        for window in windows(missing.iter_rows(), _SHARD):
            table(run).append(pool.map(one, window))
    return hashes(table(run).scan())


def hashes(rows: pl.LazyFrame) -> pl.LazyFrame:
    """`image_id` and `phash` as an unsigned 64-bit number, of the images that have one."""
    number = pl.col("phash").str.to_integer(base=16, dtype=pl.UInt64)
    return rows.filter(pl.col("phash") != "").select("image_id", phash=number).unique("image_id", keep="any")


def hashed(image_id: str, path: Path, max_pixels: int) -> ImageHash:
    """The hash of an image file; one that cannot be used has a problem instead."""
    try:
        value = phash(image_decoding.file_bytes(path), max_pixels)
    except ImageProblem as problem:
        return ImageHash(image_id, "", problem.detail)
    return ImageHash(image_id, "", "hardly any content") if value is None else ImageHash(image_id, f"{value:016x}")


def phash(data: bytes, max_pixels: int) -> int | None:
    """The perceptual hash of an image file, transparent parts taken as white; None where it has hardly any content.

    Raises:
        ImageProblem: too many pixels, an unexpected format, or not decodable.
    """
    import imagehash

    with image_decoding.opened(data, max_pixels) as image:
        image.draft("L", _DRAFT)
        bits = imagehash.phash(shown.shown(image)).hash.flatten()
    if int(bits.sum()) < FEWEST_BITS:
        return None
    return int("".join("1" if bit else "0" for bit in bits), 2)
