"""Which reviews count: the last word of each person on the present version of each question.

The table only grows: an answer that was changed stands beside the one it replaces, and one that was taken back beside
the row that says so.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from capcurriculum.rows import Question, Review
from capcurriculum.run import Run
from capcurriculum.tables import records
from filters import evidence
from filters.human.form import State, version

_PERSON = ("question_id", "version", "annotator", "origin")


@dataclass(frozen=True, slots=True)
class Latest:
    """Reviewed questions by id, the reviews of each that count, and how many were of other versions."""

    questions: Mapping[str, Question]
    reviews: Mapping[str, list[Review]]
    older: int = 0
    people: frozenset[str] = field(default_factory=frozenset)


def last_words(run: Run) -> pl.DataFrame:
    """The last review by each person of each version of each question, withdrawn ones included."""
    said = run.reviews.scan().sort("said_at", maintain_order=True)
    return said.unique(list(_PERSON), keep="last", maintain_order=True).collect()


def latest(run: Run) -> Latest:
    """The reviews that count now; raises `RunError` where a table is damaged."""
    words = last_words(run)
    ids = words.select(pl.col("question_id").unique().sort())
    questions = {q.question_id: q for q in evidence.questions(run, ids)} if ids.height else {}
    versions = {key: version(question) for key, question in questions.items()}
    found: defaultdict[str, list[Review]] = defaultdict(list)
    people, older = set[str](), 0
    for review in _standing(words):
        if versions.get(review.question_id) == review.version:
            found[review.question_id].append(review)
            people.add(review.annotator)
        else:
            older += 1
    return Latest(questions, found, older, frozenset(people))


def _standing(words: pl.DataFrame) -> Iterator[Review]:
    return records(words.filter(pl.col("state") == State.SUBMITTED), Review)
