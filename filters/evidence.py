"""What filters judge by: questions and the replies to them, a batch at a time, and which questions are still to judge.

A verdict stands as long as it was made under the present parameters and from all the evidence there is. So a question
that a changed list lets through to the models after all is judged again once they have replied, and one whose key
people corrected is judged again under the key in force.
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
#: What a verdict is made from; the rest of an `Answer` is accounting.
_COLUMNS = ("request_key", "question_id", "solver", "purpose", "arm", "rollout", "answer", "outcome", "order")
_UNREAD = {"text": "", "finish": "", "tokens_in": 0, "tokens_out": 0, "prompt_digest": ""}


def read_by(section: FilterSection, recipe: Recipe) -> pl.Expr:
    """A predicate on the answers table: the rows that are evidence for a filter."""
    if section.phase not in PURPOSES:
        return pl.lit(False)
    found = pl.col("purpose") == str(PURPOSES[section.phase])
    for column, values in section.reads(recipe).items():
        found &= pl.col(column).is_in([str(value) if isinstance(value, str) else value for value in values])
    return found


def questions(run: Run, ids: pl.DataFrame, corrected: Corrections | None = None) -> list[Question]:
    """The questions whose `question_id` is in `ids`, in the table's order; with the keys of `corrected` if given."""
    found = _of(run.questions.scan(), ids)
    return list(records((corrected.questions(found) if corrected else found).collect(), Question))


def replies(
    run: Run, ids: pl.DataFrame, phase: Phase, text: bool = False, corrected: Corrections | None = None
) -> Mapping[str, list[Answer]]:
    """Question id -> the replies to it that were asked for in this phase.

    Args:
        run: whose answers are read.
        ids: the questions, as the column `question_id`.
        phase: decides the purpose of the replies; before the probe there are none.
        text: whether to load the text of replies, which is "" else.
        corrected: grades under corrected keys, which replace those of the table.
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
    """The questions that a filter has still to judge.

    Args:
        ledger: the verdicts so far.
        section: the filter.
        within: leaves out all questions but these (`question_id`).
        changed: what `corrections.changed` returned.

    Returns:
        `question_id`, `stage` and `asked`, in the table's order; `asked` is false where no reply is to be had because
        an earlier phase dropped the question.
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

    Ids that come in order span a small range, outside of which only the id column is decoded: much faster than the join
    alone, which decodes everything.
    """
    own = ids["question_id"]
    near = table.filter(pl.col("question_id").is_between(pl.lit(own.min()), pl.lit(own.max())))
    return near.join(ids.lazy(), on="question_id", how="semi", maintain_order="left")
