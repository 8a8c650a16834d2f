"""Split by a stable hash of the picture, so that no image is in two splits, in any stage, in any run."""

import numpy as np
import polars as pl

from capcurriculum.recipe import SplitSection
from capcurriculum.rows import Question
from curricula.hashing import Keys, id_key, mixed

SPLITS = ("train", "val", "test")
_BUCKETS = 1_000_000

Codes = np.ndarray[tuple[int], np.dtype[np.uint8]]


def unit() -> pl.Expr:
    """What a row is placed by, as a number: its image, or its own text where it has none.

    Works on any frame with the columns `image_id` and `problem`.
    """
    return id_key(pl.when(pl.col("image_id") == "").then(pl.col("problem")).otherwise(pl.col("image_id")))


def places(units: Keys, section: SplitSection) -> Codes:
    """The place in `SPLITS` of every unit."""
    place = (mixed(units, "split") % np.uint64(_BUCKETS)).astype(np.float64) / _BUCKETS
    codes = np.where(place < section.test, 2, np.where(place < section.test + section.val, 1, 0))
    return codes.astype(np.uint8)


def split_of(question: Question, section: SplitSection) -> str:
    """`train`, `val` or `test` of one question."""
    frame = pl.DataFrame({"image_id": [question.image_id], "problem": [question.problem]})
    return SPLITS[places(frame.select(unit()).to_series().to_numpy(), section)[0]]
