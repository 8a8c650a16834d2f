"""Run a filter over the questions it has no verdict on yet, and append what it says to the ledger.

A filter sees one question and all answers to it, and nothing else, so its verdict depends neither on the order of the
rows nor on other rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from capcurriculum.rows import Answer, Purpose, Question, Verdict
from capcurriculum.run import Run

Filter = Callable[[Question, Sequence[Answer]], Verdict]


def apply(run: Run, name: str, judge: Filter, questions: Iterable[Question], purpose: Purpose) -> int:
    """Append the verdicts of filter `name` that are missing, on evidence of one purpose; returns how many."""
    judged = run.verdicts.where(pl.col("filter") == name)
    known = {verdict.question_id for verdict in judged}
    evidence: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.where(pl.col("purpose") == purpose):
        evidence[answer.question_id].append(answer)
    missing = (q for q in questions if q.question_id not in known)
    return run.verdicts.append(judge(q, evidence[q.question_id]) for q in missing)


def kept(run: Run, name: str) -> set[str]:
    """Ids that filter `name` keeps."""
    return {verdict.question_id for verdict in run.verdicts.where(pl.col("filter") == name, pl.col("keep"))}
