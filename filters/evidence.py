"""Read what filters judge by: questions and the replies to them, for a batch of questions at a time."""

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from capcurriculum.ledger.corrections import Corrections
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.rows import Answer, Purpose, Question
from capcurriculum.run import Run
from capcurriculum.tables import records

PURPOSES: Mapping[Phase, Purpose] = {
    Phase.PROBE: Purpose.PROBE,
    Phase.AUDIT: Purpose.AUDIT,
    Phase.ROLLOUT: Purpose.ROLLOUT,
}
#: What a verdict is made from; the rest of an `Answer` is accounting.
_COLUMNS = ("request_key", "question_id", "solver", "purpose", "arm", "rollout", "answer", "outcome", "order")
_UNREAD = {"text": "", "finish": "", "tokens_in": 0, "tokens_out": 0, "prompt_digest": ""}


def read_by(section: FilterSection, recipe: Recipe) -> pl.Expr:
    """Which rows of the answers table are evidence for a filter."""
    if section.phase not in PURPOSES:
        return pl.lit(False)
    found = pl.col("purpose") == str(PURPOSES[section.phase])
    for column, values in section.reads(recipe).items():
        found &= pl.col(column).is_in([str(value) if isinstance(value, str) else value for value in values])
    return found


def questions(run: Run, ids: pl.DataFrame, corrected: Corrections | None = None) -> list[Question]:
    """The questions whose `question_id` is in `ids`, in the table's order; as written, or as `corrected`."""
    found = _of(run.questions.scan(), ids)
    return list(records((corrected.questions(found) if corrected else found).collect(), Question))


def replies(
    run: Run, ids: pl.DataFrame, phase: Phase, text: bool = False, corrected: Corrections | None = None
) -> Mapping[str, list[Answer]]:
    """Question id -> all replies to it that were asked for this phase; their `text` is empty unless wanted."""
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    if phase in PURPOSES:
        columns = [*_COLUMNS, "text"] if text else list(_COLUMNS)
        asked = run.answers.scan().filter(pl.col("purpose") == str(PURPOSES[phase])).select(columns)
        asked = _of(asked, ids)
        for values in (corrected.answers(asked) if corrected else asked).collect().iter_rows(named=True):
            found[values["question_id"]].append(Answer(**{**_UNREAD, **values}))
    return found


def _of(table: pl.LazyFrame, ids: pl.DataFrame) -> pl.LazyFrame:
    """The rows of these questions.

    Ids that come in order span a small range, outside of which only the id column is decoded: much faster than the join
    alone, which decodes everything.
    """
    own = ids["question_id"]
    near = table.filter(pl.col("question_id").is_between(pl.lit(own.min()), pl.lit(own.max())))
    return near.join(ids.lazy(), on="question_id", how="semi", maintain_order="left")
