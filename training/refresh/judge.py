"""Which rows a refresh leaves in a stage: pass rates from the run's answers, a verdict on each row, what is too few.

Unknown is not wrong: a row too few of whose replies could be read is left out as unmeasured.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from capcurriculum.errors import TrainerError
from capcurriculum.ledger.corrections import corrections
from capcurriculum.reasons import Reason
from capcurriculum.rows import Purpose, Question, Verdict, digest
from capcurriculum.stats import PassRate, pass_counts
from capcurriculum.tables import Table
from datagen.early_stopping import keeps
from training.refresh.task import Task

#: What the verdicts' filter is called; no recipe lists it, so no funnel counts it.
FILTER = Purpose.REFRESH.value


@dataclass(frozen=True, slots=True)
class Judged:
    """`rates`: question id -> pass rate of the rows that stay; `rollouts` counts replies, `reasons` rows."""

    rates: Mapping[str, float]
    rollouts: int
    reasons: Mapping[str, int]


def judge(task: Task, questions: Table[Question], solver: str) -> Judged:
    """Judge every row by the answers of `solver`, and append the verdicts that the run does not have yet.

    Raises:
        RunError: a table is damaged.
    """
    section, counts = task.rollouts, _counts(task, solver)
    params = digest(FILTER, solver, task.bound)
    known = task.run.verdicts.keys("question_id", pl.col("filter") == FILTER, pl.col("params") == params)
    rates: dict[str, float] = {}
    verdicts: list[Verdict] = []
    reasons: Counter[str] = Counter()
    for question in questions.rows():
        name = question.question_id
        found = counts.get(name, PassRate())
        if not found.measured(section.readable):
            reason = Reason.UNMEASURED
        elif keeps(found.rate, section):
            reason, rates[name] = Reason.KEPT, found.rate
        else:
            reason = Reason.TOO_EASY if found.rate >= task.section.below else Reason.TOO_HARD
        reasons[reason] += 1
        if name not in known:
            kept = reason == Reason.KEPT
            detail = f"{found} right under {solver}"
            verdicts.append(Verdict(name, question.stage, FILTER, kept, reason, detail, params=params))
    task.run.verdicts.append(verdicts)
    return Judged(rates, sum(found.asked for found in counts.values()), reasons)


def check_enough(task: Task, judged: Judged, rows: int, solver: str) -> None:
    """Check that what is left of `rows` training rows fills one batch.

    Raises:
        TrainerError: it does not; the sentence says where the rows went.
    """
    left = len(judged.rates)
    if left >= task.batch:
        return
    gone = ", ".join(f"{reason} {count}" for reason, count in judged.reasons.items() if reason != Reason.KEPT)
    section = task.section
    raise TrainerError(
        f"Of the {rows} training rows of {task.stage}, {left or 'none'} {'is' if left == 1 else 'are'} left where "
        f"{section.above:g} < pass rate < {section.below:g} under {solver} ({gone}), and a batch needs {task.batch}; "
        f"widen training.refresh.above and below, or take {task.stage} out of the refresh (training.refresh.stages)."
    )


def _counts(task: Task, solver: str) -> dict[str, PassRate]:
    """Question id -> counts of the solver's first k replies, each reply once, under the keys in force."""
    answers = task.run.answers.scan().filter(
        pl.col("purpose") == Purpose.REFRESH.value, pl.col("solver") == solver, pl.col("rollout") < task.section.k
    )
    once = answers.unique(["question_id", "arm", "rollout", "order"], keep="first")
    graded = corrections(task.run, task.recipe).answers(once) if task.run.reviews.shards() else once
    counted = pass_counts(graded, purpose=Purpose.REFRESH).collect()
    names = ("k", "n", "unreadable", "failed")
    return {row["question_id"]: PassRate(*(row[name] for name in names)) for row in counted.iter_rows(named=True)}
