"""How far reviewers agree beyond chance: Krippendorff's alpha for each thing they were asked.

Alpha takes any number of people and missing answers (Krippendorff 2011, "Computing Krippendorff's alpha-reliability");
NLTK computes it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from capcurriculum.rows import Review
from filters.human.form import Right


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha over `questions` that at least two of `people` answered; None where it is undefined.

    1 is perfect agreement and 0 that of chance; it is undefined where nothing can be compared or all say the same.
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
    """One line for each thing asked; None where NLTK is not installed (extra `review`)."""
    if find_spec("nltk") is None:
        return None
    return [_of(asked, read, reviews) for asked, read in _ASKED.items()]


def _of(asked: str, read: Callable[[Review], str | int], reviews: Mapping[str, Sequence[Review]]) -> Agreement:
    said: defaultdict[str, list[tuple[str, str, str | int]]] = defaultdict(list)
    for key, found in reviews.items():
        for review in found:
            if value := read(review):
                said[key].append((review.annotator, key, value))
    several = [row for rows in said.values() if len(rows) > 1 for row in rows]
    questions, people = len({row[1] for row in several}), len({row[0] for row in several})
    return Agreement(asked, alpha(several, ranked=asked == "quality"), questions, people)


def alpha(said: Sequence[tuple[str, str, str | int]], ranked: bool = False) -> float | None:
    """Krippendorff's alpha of (person, item, answer) rows, each item answered at least twice; None where undefined.

    `ranked` answers are numbers, between which it matters how far they are apart. NLTK must be installed.
    """
    if len({row[2] for row in said}) < 2:
        return None
    from nltk.metrics.agreement import AnnotationTask
    from nltk.metrics.distance import binary_distance, interval_distance

    return float(AnnotationTask(list(said), interval_distance if ranked else binary_distance).alpha())
