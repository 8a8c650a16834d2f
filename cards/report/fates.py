"""What became of every row of a run, and which rows the gallery shows.

A row is a question, a caption that gave none, or a source line that never became either, so that each number of the
funnel can be looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum import stats
from capcurriculum.ledger import funnel
from capcurriculum.ledger.corrections import Corrections, corrections
from capcurriculum.reasons import NOT_JUDGED
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from filters import pipeline

KEPT, OPEN, DROPPED = "kept", "open", "dropped"
QUESTION, CAPTION, LINE = "question", "caption", "line"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows shown, in the order of the page, and how many there are in all.

    Columns of `rows`: those of `fates`, and `at`, the row's place on the page from 0 on.
    """

    rows: pl.DataFrame
    total: int


def fates(run: Run, recipe: Recipe) -> pl.DataFrame:
    """One line a row of the run.

    Columns: `question_id, stage, kind, fate` (kept, dropped, or open while filters have yet to judge it); of what was
    dropped the first `filter` to do so, its `place` on the road and the `reason`; `pass_k` right of `pass_n`
    rollouts that could be read, and `pass_unknown` others.

    Raises:
        RecipeError: the run's own recipe cannot be read.
    """
    key = ["stage", "question_id"]
    drops = funnel.placed(run).filter(~pl.col("keep"), ~pl.col("reason").is_in(list(NOT_JUDGED)))
    first = drops.group_by(key).agg(pl.col("place", "filter", "reason").sort_by("place", "filter").first())
    questions = run.questions.scan().select(*key, kind=pl.lit(QUESTION)).unique(key)
    captions = run.captions.scan().select(question_id="caption_id", caption=pl.lit(CAPTION)).unique("question_id")
    rows = questions.join(first, on=key, how="full", coalesce=True).join(captions, on="question_id", how="left")
    kept = pipeline.kept_ids(run, recipe).with_columns(kept=pl.lit(True)).unique("question_id")
    rates = _pass_rates(run, corrections(run, recipe))
    rows = rows.join(kept, on="question_id", how="left").join(rates, on="question_id", how="left")
    fate = pl.when(pl.col("place").is_not_null()).then(pl.lit(DROPPED))
    return rows.select(
        *key,
        kind=pl.coalesce("kind", "caption", pl.lit(LINE)),
        fate=fate.when(pl.col("kept")).then(pl.lit(KEPT)).otherwise(pl.lit(OPEN)),
        place=pl.col("place"),
        filter=pl.col("filter").fill_null(""),
        reason=pl.col("reason").fill_null(""),
        pass_k=pl.col("pass_k").fill_null(0),
        pass_n=pl.col("pass_n").fill_null(0),
        pass_unknown=pl.col("pass_unknown").fill_null(0),
    ).collect()


def chosen(found: pl.DataFrame, limit: int, taught: Sequence[str]) -> Chosen:
    """At most `limit` rows of `fates`, stage by stage: first the kept from easy to hard, the dropped by their reason.

    What is more is left out where most rows share one fate, so that a rare reason keeps all its rows; which ones stay
    is told by their ids, and the same every time. Stages come as they are `taught`.
    """
    group = ["stage", "fate", "filter", "reason"]
    ranked = found.sort("question_id").with_columns(rank=pl.int_range(pl.len()).over(group))
    rows = ranked.sort("rank", *group, nulls_last=True).head(limit)
    stage = pl.col("stage").replace_strict(list(taught), range(len(taught)), default=len(taught), return_dtype=pl.Int64)
    fate = pl.col("fate").replace_strict([KEPT, OPEN, DROPPED], range(3), return_dtype=pl.Int64)
    # What counts is the order only, so a row that was never measured may stand as a row of rate 0.
    rate = stats.pass_rate(pl.col("pass_k"), pl.max_horizontal("pass_n", 1))
    ordered = rows.sort(stage, "stage", fate, "place", "reason", -rate, "question_id", nulls_last=True)
    return Chosen(ordered.drop("rank").with_row_index("at"), found.height)


def _pass_rates(run: Run, corrected: Corrections) -> pl.LazyFrame:
    found = stats.pass_counts(corrected.answers(run.answers.scan()))
    unknown = pl.col("unreadable") + pl.col("failed")
    return found.select("question_id", pl.col("k").alias("pass_k"), pl.col("n").alias("pass_n"), pass_unknown=unknown)
