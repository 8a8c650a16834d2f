"""Split by a stable hash of the image, so that no image is in two splits, in any stage or run."""

import numpy as np
import polars as pl

from capcurriculum.recipe import SplitSection
from curricula.hashing import Keys, id_key, mixed

SPLITS = ("train", "val", "test")
_BUCKETS = 1_000_000

Codes = np.ndarray[tuple[int], np.dtype[np.uint8]]


def unit() -> pl.Expr:
    """The hash that assigns a row to a split: of `image_id`, or of `problem` if that is empty."""
    return id_key(pl.when(pl.col("image_id") == "").then(pl.col("problem")).otherwise(pl.col("image_id")))


def places(units: Keys, section: SplitSection) -> Codes:
    """The index into `SPLITS` of every unit."""
    place = (mixed(units, "split") % np.uint64(_BUCKETS)).astype(np.float64) / _BUCKETS
    codes = np.where(place < section.test, 2, np.where(place < section.test + section.val, 1, 0))
    return codes.astype(np.uint8)
