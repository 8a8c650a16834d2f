"""The reviews that count: the last one by each person of the present version of each question.

The table is append-only; a change or a withdrawal is another row.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from capcurriculum.rows import Question, Review
from capcurriculum.run import Run
from capcurriculum.tables import records
from filters import evidence
from filters.human.form import State, version

_PERSON = ("question_id", "version", "annotator", "origin")


@dataclass(frozen=True, slots=True)
class Latest:
    """Reviewed questions and their counting reviews by question id, the number of `older` versions, and the people."""

    questions: Mapping[str, Question]
    reviews: Mapping[str, list[Review]]
    older: int
    people: frozenset[str]


def last_words(run: Run) -> pl.DataFrame:
    """The last review by each person of each version of each question, including withdrawals."""
    rows = run.reviews.scan().sort("said_at", maintain_order=True)
    return rows.unique(list(_PERSON), keep="last", maintain_order=True).collect()


def latest(run: Run) -> Latest:
    """The reviews that count.

    Raises:
        RunError: a table is damaged.
    """
    words = last_words(run)
    ids = words.select(pl.col("question_id").unique().sort())
    questions = {q.question_id: q for q in evidence.questions(run, ids)} if ids.height else {}
    versions = {key: version(question) for key, question in questions.items()}
    found: defaultdict[str, list[Review]] = defaultdict(list)
    people, older = set[str](), 0
    for review in records(words.filter(pl.col("state") == State.SUBMITTED), Review):
        if versions.get(review.question_id) == review.version:
            found[review.question_id].append(review)
            people.add(review.annotator)
        else:
            older += 1
    return Latest(questions, found, older, frozenset(people))
