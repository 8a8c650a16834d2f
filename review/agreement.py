"""Inter-annotator agreement: Krippendorff's alpha for each question of the form, computed by NLTK.

It takes any number of annotators and missing answers (Krippendorff 2011, "Computing Krippendorff's
alpha-reliability").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from capcurriculum.rows import Review
from filters.human.form import Right


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha over `questions` with at least two answers of `people` annotators: 1 is perfect, 0 is chance.

    It is None (undefined) if there are no such questions, or all answers are the same.
    """

    asked: str
    alpha: float | None
    questions: int
    people: int


_ASKED: Mapping[str, Callable[[Review], str | int]] = {
    "right": lambda r: r.right,
    "choice": lambda r: r.choice if r.right == Right.NO else "",
    "kind": lambda r: r.kind,
    "quality": lambda r: r.quality,
}


def agreements(reviews: Mapping[str, Sequence[Review]]) -> list[Agreement] | None:
    """Agreement on each question of the form; None without NLTK (extra `review`)."""
    if find_spec("nltk") is None:
        return None
    return [_of(asked, read, reviews) for asked, read in _ASKED.items()]


def _of(asked: str, read: Callable[[Review], str | int], reviews: Mapping[str, Sequence[Review]]) -> Agreement:
    several: list[tuple[str, str, str | int]] = []
    for key, found in reviews.items():
        rows = [(review.annotator, key, value) for review in found if (value := read(review))]
        several += rows if len(rows) > 1 else []
    questions, people = len({row[1] for row in several}), len({row[0] for row in several})
    return Agreement(asked, alpha(several, ranked=asked == "quality"), questions, people)


def alpha(rows: Sequence[tuple[str, str, str | int]], ranked: bool = False) -> float | None:
    """Krippendorff's alpha of (annotator, item, answer) rows, each item answered at least twice; None if undefined.

    `ranked` answers are numbers with interval distance, others are nominal. Needs NLTK.
    """
    if len({row[2] for row in rows}) < 2:
        return None
    from nltk.metrics.agreement import AnnotationTask
    from nltk.metrics.distance import binary_distance, interval_distance

    return float(AnnotationTask(list(rows), interval_distance if ranked else binary_distance).alpha())
