"""What solvers reply on each arm of the probe, over all questions that were probed.

A probe that stops when it has decided leaves replies out, and which ones depends on what was replied. So an arm that
was not asked of every question is estimated from the control sample, whose questions are asked everything: each stands
for as many as there are questions for one in the sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from capcurriculum.rows import Arm, Outcome, Purpose
from cards.report.fates import Snapshot
from datagen.undecided import in_control

OUTCOMES = tuple(str(outcome) for outcome in Outcome)
_REPLY = ("question_id", "solver", "arm", "order")


@dataclass(frozen=True, slots=True)
class ArmLine:
    """The replies of a solver on one arm, by outcome: counted, or estimated from so many `sampled` questions."""

    solver: str
    arm: str
    counts: Mapping[str, int]
    sampled: int = 0


@dataclass(frozen=True, slots=True)
class Cross:
    """The replies of a solver by (outcome from the image, outcome from the caption); `sampled` as in `ArmLine`."""

    solver: str
    counts: Mapping[tuple[str, str], int]
    sampled: int = 0


def arms(snapshot: Snapshot) -> list[ArmLine]:
    """Outcomes of the probe by solver and arm, over all orders of the options."""
    replies = _weighted(snapshot)
    counts = replies.group_by("solver", "arm", "outcome").agg(pl.col("weight").sum())
    found: dict[tuple[str, str], dict[str, int]] = {}
    for solver, arm, outcome, count in counts.iter_rows():
        found.setdefault((solver, arm), {})[outcome] = round(count)
    sampled = {(solver, arm): n for solver, arm, n in _sampled(replies, "solver", "arm").iter_rows()}
    order = [str(arm) for arm in Arm]
    return [
        ArmLine(solver, arm, {name: found[solver, arm].get(name, 0) for name in OUTCOMES}, sampled[solver, arm])
        for solver, arm in sorted(found, key=lambda key: (key[0], order.index(key[1])))
    ]


def crosses(snapshot: Snapshot) -> list[Cross]:
    """Outcomes on the same question from the image and from the caption, by solver."""
    replies = _weighted(snapshot)
    # An arm that is asked of every question is in the control sample too, with that sample's weight.
    image, caption = (replies.filter(pl.col("arm") == arm) for arm in (Arm.IMAGE, Arm.CAPTION))
    both = image.join(caption, on=["question_id", "solver", "order"], suffix="_caption")
    both = both.with_columns(
        weight=pl.max_horizontal("weight", "weight_caption"), whole=pl.all_horizontal("whole", "whole_caption")
    )
    counts = both.group_by("solver", "outcome", "outcome_caption").agg(pl.col("weight").sum())
    found: dict[str, dict[tuple[str, str], int]] = {}
    for solver, seen, read, count in counts.iter_rows():
        found.setdefault(solver, {})[seen, read] = round(count)
    sampled = {solver: n for solver, n in _sampled(both, "solver").iter_rows()}
    return [Cross(solver, counts, sampled[solver]) for solver, counts in sorted(found.items())]


def _sampled(replies: pl.DataFrame, *by: str) -> pl.DataFrame:
    """The number of questions in each group, 0 where all of them are there."""
    return replies.group_by(by).agg(sampled=pl.col("question_id").filter(~pl.col("whole")).n_unique())


def _weighted(snapshot: Snapshot) -> pl.DataFrame:
    """The last reply under each key with `weight`: the questions it stands for; and `whole`: whether all have one.

    Replies to questions outside the control sample are left out where an arm was not asked of all.
    """
    asked = snapshot.answers.filter(pl.col("purpose") == str(Purpose.PROBE)).select(*_REPLY, "rollout", "outcome")
    replies = asked.sort("rollout", maintain_order=True).unique(_REPLY, keep="last", maintain_order=True)
    stages = snapshot.run.questions.scan().select("question_id", "stage").unique("question_id")
    rows = replies.join(stages, on="question_id").collect()
    parts = [_of_stage(snapshot, str(stage), own) for (stage,), own in rows.group_by("stage")]
    return pl.concat(parts) if parts else rows.with_columns(weight=1.0, whole=True)


def _of_stage(snapshot: Snapshot, stage: str, rows: pl.DataFrame) -> pl.DataFrame:
    probe = snapshot.recipe.captioned[stage].probe if stage in snapshot.recipe.captioned else None
    probed = rows["question_id"].unique()
    share = probe.control if probe and probe.stop == "decided" else 0.0
    control = pl.DataFrame({"question_id": [q for q in probed if in_control(q, share)]}, {"question_id": pl.String})
    there = rows.group_by("solver", "arm", "order").agg(whole=pl.col("question_id").n_unique() == len(probed))
    rows = rows.join(there, on=["solver", "arm", "order"]).join(
        control.with_columns(control=True), on="question_id", how="left"
    )
    weight = pl.when("whole").then(1.0).otherwise(len(probed) / max(1, control.height))
    return rows.filter(pl.col("whole") | pl.col("control").is_not_null()).with_columns(weight=weight).drop("control")
