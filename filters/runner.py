"""Run a filter over the questions it has no verdict on yet, and append what it says to the ledger.

A filter sees one question and all answers to it, and nothing else, so its verdict depends neither on the order of the
rows nor on other rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from capcurriculum.rows import Answer, Purpose, Question, Verdict
from capcurriculum.run import Run
from datagen.windows import windows

#: Questions whose evidence is in memory at once.
BATCH = 2048
Filter = Callable[[Question, Sequence[Answer]], Verdict]


def apply(run: Run, name: str, judge: Filter, questions: Iterable[Question], purpose: Purpose) -> int:
    """Append the verdicts of filter `name` that are missing, on evidence of one purpose; returns how many."""
    known = run.verdicts.keys("question_id", pl.col("filter") == name)
    missing = (q for q in questions if q.question_id not in known)
    return sum(_judge(run, judge, batch, purpose) for batch in windows(missing, BATCH))


def _judge(run: Run, judge: Filter, questions: Sequence[Question], purpose: Purpose) -> int:
    evidence: defaultdict[str, list[Answer]] = defaultdict(list)
    ids = [q.question_id for q in questions]
    for answer in run.answers.where(pl.col("purpose") == purpose, pl.col("question_id").is_in(ids)):
        evidence[answer.question_id].append(answer)
    return run.verdicts.append(judge(q, evidence[q.question_id]) for q in questions)


def kept(run: Run, name: str) -> set[str]:
    """Ids that filter `name` keeps."""
    return run.verdicts.keys("question_id", pl.col("filter") == name, pl.col("keep"))
