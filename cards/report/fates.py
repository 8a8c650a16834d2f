"""The outcome of every row of a run, and the rows that the gallery shows.

A row is a question, a caption without a question, or a source line that became neither, so that every number of the
funnel leads to its rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum import stats
from capcurriculum.ledger import funnel
from capcurriculum.ledger.corrections import Corrections, corrections
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.reasons import NOT_JUDGED
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run

KEPT, OPEN, DROPPED = "kept", "open", "dropped"
QUESTION, CAPTION, LINE = "question", "caption", "line"
_NAMES = ("stage", "filter", "reason")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run with its ledger, derived once for the whole report: the verdicts of `funnel.placed`, and corrected keys."""

    run: Run
    recipe: Recipe
    ledger: pl.DataFrame
    corrected: Corrections

    @staticmethod
    def of(run: Run) -> "Snapshot":
        """Read the ledger of `run`; raises `RecipeError` where the run's recipe cannot be read."""
        recipe = run.recipe()
        narrow = funnel.placed(run).with_columns(pl.col(_NAMES).cast(pl.Categorical))
        return Snapshot(run, recipe, narrow.collect(), corrections(run, recipe))

    @property
    def verdicts(self) -> pl.LazyFrame:
        """The columns of `funnel.placed`."""
        return self.ledger.lazy().with_columns(pl.col(_NAMES).cast(pl.String))

    @property
    def answers(self) -> pl.LazyFrame:
        """The table of answers, graded under the keys in force."""
        return self.corrected.answers(self.run.answers.scan())


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of the gallery in their order, and the total number.

    Columns of `rows`: those of `fates`, and `at`, the position on the page from 0.
    """

    rows: pl.DataFrame
    total: int


def fates(snapshot: Snapshot) -> pl.DataFrame:
    """One line for each row of the run.

    Returns:
        `question_id, stage, kind, fate` (kept, dropped, or open while filters have not judged it); for dropped rows the
        first `filter` that dropped it, its `place` in the order of the build and the `reason`; `pass_k` right of
        `pass_n` readable rollouts, and `pass_unknown` others.
    """
    key, run = ["stage", "question_id"], snapshot.run
    drops = snapshot.verdicts.filter(~pl.col("keep"), ~pl.col("reason").is_in(list(NOT_JUDGED)))
    first = drops.group_by(key).agg(pl.col("place", "filter", "reason").sort_by("place", "filter").first())
    questions = run.questions.scan().select(*key, kind=pl.lit(QUESTION)).unique(key)
    captions = run.captions.scan().select(question_id="caption_id", caption=pl.lit(CAPTION)).unique("question_id")
    rows = questions.join(first, on=key, how="full", coalesce=True).join(captions, on="question_id", how="left")
    kept = kept_ids(run, snapshot.recipe, snapshot.verdicts.filter("counted"))
    rows = rows.join(kept.with_columns(kept=pl.lit(True)).unique("question_id"), on="question_id", how="left")
    rates = stats.pass_counts(snapshot.answers).rename({"k": "pass_k", "n": "pass_n"})
    rates = rates.with_columns(pass_unknown=pl.col("unreadable") + pl.col("failed"))
    fate = pl.when(pl.col("place").is_not_null()).then(pl.lit(DROPPED))
    return (
        rows.join(rates, on="question_id", how="left")
        .select(
            *key,
            kind=pl.coalesce("kind", "caption", pl.lit(LINE)),
            fate=fate.when(pl.col("kept")).then(pl.lit(KEPT)).otherwise(pl.lit(OPEN)),
            place=pl.col("place"),
            filter=pl.col("filter").fill_null(""),
            reason=pl.col("reason").fill_null(""),
            pass_k=pl.col("pass_k").fill_null(0),
            pass_n=pl.col("pass_n").fill_null(0),
            pass_unknown=pl.col("pass_unknown").fill_null(0),
        )
        .collect()
    )


def chosen(found: pl.DataFrame, limit: int, taught: Sequence[str]) -> Chosen:
    """At most `limit` rows of `fates`, by stage as `taught`: the kept from easy to hard, then the dropped by reason.

    Rows are left out of the largest groups of equal fate, filter and reason, so that a rare reason keeps all its rows.
    The selection is deterministic, by id.
    """
    group = ["stage", "fate", "filter", "reason"]
    ranked = found.sort("question_id").with_columns(rank=pl.int_range(pl.len()).over(group))
    rows = ranked.sort("rank", *group, nulls_last=True).head(limit)
    stage = pl.col("stage").replace_strict(list(taught), range(len(taught)), default=len(taught), return_dtype=pl.Int64)
    fate = pl.col("fate").replace_strict([KEPT, OPEN, DROPPED], range(3), return_dtype=pl.Int64)
    # Only the order matters, so an unmeasured row may count as one of rate 0.
    rate = stats.pass_rate(pl.col("pass_k"), pl.max_horizontal("pass_n", 1))
    ordered = rows.sort(stage, "stage", fate, "place", "reason", -rate, "question_id", nulls_last=True)
    return Chosen(ordered.drop("rank").with_row_index("at"), found.height)
