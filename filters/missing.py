"""Which questions a filter has still to judge.

A verdict stands as long as it was made under the present parameters and from all the evidence there is, so a question
that a changed list lets through to the models after all is judged again once they have replied, and one whose key
people corrected under the key that holds now.
"""

import polars as pl

from capcurriculum.ledger import corrections
from capcurriculum.ledger.verdicts import current, dropped
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import FilterSection
from capcurriculum.run import Run
from filters.evidence import read_by
from filters.registry import CORPUS


def missing(run: Run, recipe: Recipe, section: FilterSection, within: pl.LazyFrame | None) -> pl.DataFrame:
    """`question_id`, `stage` and `asked` of the questions to judge, in the table's order; nothing else is loaded.

    `asked` is false where no reply is to be had because an earlier phase dropped the question. `within` (a
    `question_id` column) leaves out all other questions.
    """
    scope = run.questions.scan().select("question_id", "stage").filter(pl.col("stage").is_in(list(section.stages)))
    if within is not None:
        scope = scope.join(within, on="question_id", how="semi", maintain_order="left")
    verdicts = current(run, recipe, pl.col("filter") == section.name).select("question_id", "reason", "seen")
    rows = scope.join(verdicts, on="question_id", how="left", maintain_order="left")
    gone = dropped(run, recipe, section.phase - 1).with_columns(gone=pl.lit(True))
    rows = rows.join(gone, on="question_id", how="left", maintain_order="left")
    rows = rows.join(_replies(run, recipe, section), on="question_id", how="left", maintain_order="left")
    asked = pl.col("gone").is_null() | pl.col("there").is_not_null()
    more = pl.col("there").fill_null(0) != pl.col("seen")
    let_through = (pl.col("reason") == Reason.NOT_ASKED) & asked
    stale = pl.col("reason").is_null() | let_through
    if section.name not in CORPUS:
        stale |= more
    if (under_another_key := _outdated(run, recipe, section)) is not None:
        rows = rows.join(under_another_key, on="question_id", how="left", maintain_order="left")
        stale |= pl.col("outdated").is_not_null()
    return rows.filter(stale).select("question_id", "stage", asked=asked).collect()


def _outdated(run: Run, recipe: Recipe, section: FilterSection) -> pl.LazyFrame | None:
    """Questions that were judged before people corrected their key, or took that back; None where nobody did."""
    changed = corrections.changed(run)
    if changed is None:
        return None
    mine = (pl.col("filter") == section.name) & (pl.col("params") == section.digest(recipe))
    judged = run.verdicts.scan().with_row_index("at").filter(mine).group_by("question_id").agg(pl.col("at").max())
    before = judged.join(changed, on="question_id").filter(pl.col("at") < pl.col("changed_at"))
    return before.select("question_id", outdated=pl.lit(True))


def _replies(run: Run, recipe: Recipe, section: FilterSection) -> pl.LazyFrame:
    """How many replies there are for the filter to read, by question."""
    replies = run.answers.scan().filter(read_by(section, recipe))
    return replies.group_by("question_id").agg(there=pl.len())
