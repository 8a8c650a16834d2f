"""Split by a stable hash of the picture, so that no image is in two splits, in any stage, in any run."""

from capcurriculum.recipe import SplitSection
from capcurriculum.rows import SCHEMA, Question, digest

SPLITS = ("train", "val", "test")
_BUCKETS = 1_000_000


def split_of(question: Question, section: SplitSection) -> str:
    """`train`, `val` or `test`; a problem without an image is placed by its own text."""
    unit = question.image_id or question.problem
    place = int(digest(SCHEMA, "split", unit), 16) % _BUCKETS / _BUCKETS
    if place < section.test:
        return "test"
    return "val" if place < section.test + section.val else "train"
