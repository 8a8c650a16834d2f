"""The reviewable questions of a run, with the columns that a sample can be stratified by.

The fate of a question ignores verdicts of people, so a review moves no question to another stratum.
"""

import math
from collections.abc import Collection

import polars as pl

from capcurriculum.ledger.verdicts import current
from capcurriculum.reasons import UNDECIDED
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Arm, Outcome, Purpose
from capcurriculum.run import Run
from capcurriculum.stats import pass_counts, wilson
from datagen.auditor import Opinion
from filters.audit.noise import KEPT, fates, opinions

#: Columns a sample may be stratified by.
COLUMNS = ("stage", "fate", "skill", "source", "band")
_KNOWN = (str(Outcome.RIGHT), str(Outcome.WRONG))
_BANDS = ("0", "0-25 %", "25-50 %", "50-75 %", "75-100 %", "1")


def population(run: Run, recipe: Recipe, stages: Collection[str] = ()) -> pl.DataFrame:
    """One row for each question that a filter has judged, sorted by id.

    Columns: `question_id, stage, skill, source`; `fate`, `kept` or the first `filter: reason` that dropped it; `kept`;
    `band` of the pass rate, `k` right of `n` rollouts; `doubt`, the number of signs of doubt (solvers that disagree on
    the image, a filter or an auditor that could not decide, a 95 % interval of the pass rate that holds a bound of the
    recipe); `doubted`, whether auditors do not find the key right, null where none was asked. Without `stages`: those
    whose questions have options, or all if none has.
    """
    verdicts = current(run, recipe, pl.col("filter") != HUMAN)
    unsure = verdicts.filter(pl.col("reason").is_in(list(UNDECIDED))).select("question_id", unsure=pl.lit(1)).unique()
    rows = run.questions.scan().unique("question_id", maintain_order=True)
    rows = rows.filter(pl.col("stage").is_in(list(stages or _with_options(run))))
    rows = rows.select("question_id", "stage", "skill", "source")
    rows = rows.join(fates(run, recipe), on="question_id", how="inner", maintain_order="left")
    rates = pass_counts(run.answers.scan()).select("question_id", "k", "n")
    for beside in (unsure, _disagreeing(run), _split_votes(run), rates):
        rows = rows.join(beside, on="question_id", how="left")
    signs = pl.max_horizontal(pl.col("unsure", "split").fill_null(0)) + pl.col("disagree").fill_null(0)
    found = rows.with_columns(pl.col("k", "n").fill_null(0), doubt=signs.cast(pl.Int64)).collect()
    found = found.join(_near_bounds(found, recipe), on=["k", "n"], how="left").join(
        _doubted(run), on="question_id", how="left"
    )
    return found.select(
        "question_id", "stage", "skill", "source", "fate", "k", "n", "band", "doubted",
        kept=pl.col("fate") == KEPT, doubt=pl.col("doubt") + pl.col("near"),
    ).sort("question_id")  # fmt: skip


def _with_options(run: Run) -> list[str]:
    stages = run.questions.scan().group_by("stage").agg(options=(pl.col("options").list.len() > 0).any()).collect()
    chosen = stages.filter("options") if stages["options"].any() else stages
    return chosen["stage"].to_list()


def _disagreeing(run: Run) -> pl.LazyFrame:
    """Questions whose probe answers from the image differ between solvers or option orders."""
    seen = run.answers.scan().filter(pl.col("purpose") == Purpose.PROBE, pl.col("arm") == Arm.IMAGE)
    chosen = seen.filter(pl.col("outcome").is_in(_KNOWN)).group_by("question_id").agg(pl.col("answer").n_unique())
    return chosen.filter(pl.col("answer") > 1).select("question_id", disagree=pl.lit(1))


def _doubted(run: Run) -> pl.DataFrame:
    """Questions of which auditors say anything, and whether it is anything but that the key is right."""
    said = [(key, one is not Opinion.AGREE) for key, one in opinions(run).items() if one is not Opinion.UNKNOWN]
    return pl.DataFrame(said, schema={"question_id": pl.String, "doubted": pl.Boolean}, orient="row")


def _split_votes(run: Run) -> pl.LazyFrame:
    """Questions whose auditors' votes differ."""
    votes = run.answers.scan().filter(pl.col("purpose") == Purpose.AUDIT)
    sides = votes.group_by("question_id").agg(pl.col("outcome").n_unique())
    return sides.filter(pl.col("outcome") > 1).select("question_id", split=pl.lit(1))


def _near_bounds(found: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """For every pair `k, n` its `band`, and 1 in `near` if the 95 % interval holds a bound of the recipe, else 0."""
    bounds = [bound for bound in (recipe.rollouts.above, recipe.rollouts.below) if bound is not None]
    pairs = found.select("k", "n").unique()
    rows = []
    for k, n in pairs.iter_rows():
        low, high = wilson(k, n) if n else (math.inf, -math.inf)
        rows.append((int(any(low <= bound <= high for bound in bounds)), band(k, n)))
    return pairs.hstack(pl.DataFrame(rows, schema={"near": pl.Int64, "band": pl.String}, orient="row"))


def band(k: int, n: int) -> str:
    """The band of the pass rate k / n, `unmeasured` for n = 0."""
    if not n:
        return "unmeasured"
    return _BANDS[0] if k == 0 else _BANDS[-1] if k == n else _BANDS[1 + min(3, 4 * k // n)]
