"""Overlay of human-corrected keys on append-only tables, which keep what was written.

`answers` stays graded under the key as it was written. What each reply is worth under the corrected key stands in
`regrades`, so a correction asks no model, and one that is taken back leaves no trace in what is read.
"""

import hashlib
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger.verdicts import current
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.run import Run

#: What names an answer among those to one question.
ANSWER = ("question_id", "solver", "purpose", "arm", "rollout", "order")
_GRADE = ("outcome", "answer", "detail")


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrected keys in force (`question_id`, `key`), and the answers graded under them (columns of `Regrade`)."""

    keys: pl.DataFrame
    grades: pl.DataFrame | None = None

    def __bool__(self) -> bool:
        return not self.keys.is_empty()

    def questions(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """A table of questions with corrected keys in `answer`; it needs `question_id` and `answer`."""
        if not self:
            return table
        found = table.join(self.keys.lazy(), on="question_id", how="left", maintain_order="left")
        return found.with_columns(answer=pl.coalesce("key", "answer")).drop("key")

    def answers(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """A table of answers graded under the keys in force; it needs the columns `ANSWER` and `outcome`."""
        if not self or self.grades is None:
            return table
        names = [name for name in _GRADE if name in table.collect_schema()]
        regraded = self.grades.select(*ANSWER, *(pl.col(name).alias(f"re_{name}") for name in names)).lazy()
        found = table.join(regraded, on=list(ANSWER), how="left", maintain_order="left")
        found = found.with_columns(**{name: pl.coalesce(f"re_{name}", name) for name in names})
        return found.drop(f"re_{name}" for name in names)

    def digest(self) -> str:
        """First 16 hex digits of a sha256 over the keys; "" where there are none."""
        if not self:
            return ""
        return hashlib.sha256(repr(self.keys.sort("question_id").rows()).encode()).hexdigest()[:16]


AS_WRITTEN = Corrections(pl.DataFrame(schema={"question_id": pl.String, "key": pl.String}))


def corrections(run: Run, recipe: Recipe) -> Corrections:
    """The corrections in force under the recipe's rule; costs nothing in a run without reviews.

    A key is corrected as long as the last verdict of `human` says so.
    """
    if not run.reviews.shards():
        return AS_WRITTEN
    said = current(run, recipe, pl.col("filter") == HUMAN).filter(pl.col("reason") == Reason.KEY_CORRECTED)
    keys = said.select("question_id", key="detail").sort("question_id").collect()
    if keys.is_empty():
        return Corrections(keys)
    grades = run.regrades.scan().join(keys.lazy(), on=["question_id", "key"], how="semi")
    return Corrections(keys, grades.unique(list(ANSWER), keep="last").collect())


def changed(run: Run) -> pl.LazyFrame | None:
    """`question_id` and `changed_at`, the position in the ledger from which on verdicts are under the present key.

    One row for every question whose key was ever corrected, under any rule; None where there is none.
    """
    if not run.reviews.shards():
        return None
    human = run.verdicts.scan().with_row_index("at").filter(pl.col("filter") == HUMAN)
    by_question = human.group_by("question_id").agg(
        changed_at=pl.col("at").max(), corrected=(pl.col("reason") == Reason.KEY_CORRECTED).any()
    )
    found = by_question.filter("corrected").select("question_id", "changed_at").collect()
    return None if found.is_empty() else found.lazy()
