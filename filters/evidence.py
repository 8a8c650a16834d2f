"""Evidence of filters: questions and replies in batches, and the questions without a valid verdict.

A verdict is valid if it was made under the present parameters, from all present replies and under the present key.
"""

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from capcurriculum.ledger.corrections import Corrections
from capcurriculum.ledger.verdicts import Ledger
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.rows import Answer, Purpose, Question
from capcurriculum.run import Run
from capcurriculum.tables import records
from filters.base import CorpusRule

PURPOSES: Mapping[Phase, Purpose] = {
    Phase.PROBE: Purpose.PROBE,
    Phase.AUDIT: Purpose.AUDIT,
    Phase.ROLLOUT: Purpose.ROLLOUT,
}
#: Columns that verdicts depend on; the rest of an `Answer` is accounting.
_COLUMNS = ("request_key", "question_id", "solver", "purpose", "arm", "rollout", "answer", "outcome", "order")
_UNREAD = {"text": "", "finish": "", "tokens_in": 0, "tokens_out": 0, "prompt_digest": ""}


def read_by(section: FilterSection, recipe: Recipe) -> pl.Expr:
    """A predicate on the table of answers: the evidence of a filter."""
    if section.phase not in PURPOSES:
        return pl.lit(False)
    found = pl.col("purpose") == str(PURPOSES[section.phase])
    for column, values in section.reads(recipe).items():
        found &= pl.col(column).is_in([str(value) if isinstance(value, str) else value for value in values])
    return found


def questions(run: Run, ids: pl.DataFrame, corrected: Corrections | None = None) -> list[Question]:
    """The questions of `ids` (column `question_id`), in the table's order, with the keys of `corrected`."""
    found = _of(run.questions.scan(), ids)
    return list(records((corrected.questions(found) if corrected else found).collect(), Question))


def replies(
    run: Run, ids: pl.DataFrame, phase: Phase, text: bool = False, corrected: Corrections | None = None
) -> Mapping[str, list[Answer]]:
    """Question id -> its replies of a phase, none before the probe.

    Args:
        run: the run.
        ids: the questions, as the column `question_id`.
        phase: determines the purpose of the replies.
        text: whether to load the text of replies, otherwise "".
        corrected: replaces the grades of questions with corrected keys.
    """
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    if phase in PURPOSES:
        columns = [*_COLUMNS, "text"] if text else list(_COLUMNS)
        asked = run.answers.scan().filter(pl.col("purpose") == str(PURPOSES[phase])).select(columns)
        asked = _of(asked, ids)
        for values in (corrected.answers(asked) if corrected else asked).collect().iter_rows(named=True):
            found[values["question_id"]].append(Answer(**{**_UNREAD, **values}))
    return found


def missing(
    ledger: Ledger, section: FilterSection, within: pl.LazyFrame | None, changed: pl.LazyFrame | None
) -> pl.DataFrame:
    """The questions without a valid verdict of a filter.

    Args:
        ledger: the verdicts so far.
        section: the filter.
        within: restricts the questions to these (`question_id`).
        changed: the result of `corrections.changed`.

    Returns:
        `question_id`, `stage` and `asked`, in the table's order; `asked` is false if an earlier phase dropped the
        question, so that there are no replies.
    """
    run = ledger.run
    scope = run.questions.scan().select("question_id", "stage").filter(pl.col("stage").is_in(list(section.stages)))
    if within is not None:
        scope = scope.join(within, on="question_id", how="semi", maintain_order="left")
    mine = ledger.verdicts().filter(pl.col("filter") == section.name)
    gone = ledger.dropped(section.phase - 1).with_columns(gone=pl.lit(True))
    replies = run.answers.scan().filter(read_by(section, ledger.recipe)).group_by("question_id").agg(there=pl.len())
    rows = scope
    for beside in (mine.select("question_id", "reason", "seen"), gone, replies):
        rows = rows.join(beside, on="question_id", how="left", maintain_order="left")
    asked = pl.col("gone").is_null() | pl.col("there").is_not_null()
    stale = pl.col("reason").is_null() | ((pl.col("reason") == Reason.NOT_ASKED) & asked)
    if not isinstance(section, CorpusRule):  # that reads no replies
        stale |= pl.col("there").fill_null(0) != pl.col("seen")
    if changed is not None:
        before = mine.join(changed, on="question_id").filter(pl.col("at") < pl.col("changed_at"))
        outdated = before.select("question_id", outdated=pl.lit(True)).unique()
        rows = rows.join(outdated, on="question_id", how="left", maintain_order="left")
        stale |= pl.col("outdated").is_not_null()
    return rows.filter(stale).select("question_id", "stage", asked=asked).collect()


def _of(table: pl.LazyFrame, ids: pl.DataFrame) -> pl.LazyFrame:
    """The rows of these questions.

    Sorted batches of ids span small ranges, and outside of a range only the id column is decoded, which is much faster
    than the join alone.
    """
    low, high = pl.lit(ids["question_id"].min()), pl.lit(ids["question_id"].max())
    near = table.filter(pl.col("question_id").is_between(low, high))
    return near.join(ids.lazy(), on="question_id", how="semi", maintain_order="left")
