"""Which verdicts count: for each question and filter the last one made under the recipe's present parameters.

The ledger is append-only. A recipe whose filters changed leaves the old verdicts where they are, so that changing it
back finds them again, and everything that counts rows asks here first.
"""

from collections.abc import Iterable

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Verdict
from capcurriculum.run import Run

_FORCE = {"filter": pl.String, "stage": pl.String, "params": pl.String, "place": pl.Int64, "phase": pl.Int64}
_KEY = ["filter", "stage", "question_id"]
#: Columns of a snapshot, narrow since the ledger is the longest table after the answers.
_SNAPSHOT = {
    "question_id": pl.String,
    "stage": pl.Categorical,
    "filter": pl.Categorical,
    "keep": pl.Boolean,
    "reason": pl.Categorical,
    "seen": pl.UInt32,
    "at": pl.UInt32,
}


def in_force(recipe: Recipe) -> pl.DataFrame:
    """One row for each filter of the recipe and stage it judges.

    Returns:
        `filter`, `stage`, `params` (the digest its verdicts must bear), `phase`, and `place`: its position from 0 on,
        by phase, and inside a phase in the recipe's order.
    """
    ordered = sorted(recipe.filters, key=lambda section: section.phase)
    return pl.DataFrame(
        [
            (section.name, str(stage), section.digest(recipe), place, int(section.phase))
            for place, section in enumerate(ordered)
            for stage in section.stages
        ],
        schema=_FORCE,
        orient="row",
    )


def check_judged(run: Run, recipe: Recipe) -> None:
    """Check that every filter of the recipe has judged the run's questions under the recipe's parameters.

    Raises:
        RunError: one has not, so the run was built with another recipe.
    """
    there = run.verdicts.scan().select("filter", "stage", "params").unique()
    asked = run.questions.scan().select("stage").unique()
    wanted = in_force(recipe).lazy().join(asked, on="stage", how="semi")
    for name, stage, *_ in (
        wanted.join(there, on=["filter", "stage", "params"], how="anti").sort("place").collect().rows()
    ):
        raise RunError(
            f"No question of stage {stage} in {run.path} was judged by the filter {name} as this recipe sets it, so "
            f"the run was built with another recipe, or nothing reached that filter; build it with this recipe "
            f"(capcurriculum build), or name another run."
        )


def counting(recipe: Recipe) -> pl.DataFrame:
    """`in_force`, and a last row for each stage for the people who review; a question need not have their verdict.

    Their phase is that of the auditors, as what they drop costs no rollout.
    """
    listed = in_force(recipe)
    stages, place, phase = listed["stage"].unique(maintain_order=True), len(recipe.filters), int(Phase.AUDIT)
    people = [(HUMAN, stage, recipe.review.digest(), place, phase) for stage in stages]
    return pl.concat([listed, pl.DataFrame(people, schema=_FORCE, orient="row")])


def current(run: Run, recipe: Recipe, *which: pl.Expr) -> pl.LazyFrame:
    """The verdicts in force, derived from the whole ledger when collected; see `Ledger` for asking several times.

    Args:
        run: whose ledger it is.
        recipe: whose filters count.
        which: predicates on the columns of `counting`; verdicts of other filters are left out before they are sorted.

    Returns:
        In the order they were made, the columns of `Verdict` with `seen` (the number of replies it rests on) in place
        of `evidence`, and `place` and `phase`.
    """
    return _last(_ledger(run), counting(recipe).lazy().filter(*which))


def everything(run: Run, recipe: Recipe) -> pl.LazyFrame:
    """`current` with `at`, the row in the table, and the verdicts of steps that no recipe lists, whose `place` is null.

    Verdicts of runs from before filters had parameters are among the latter, until their questions are judged again.
    """
    ledger = _ledger(run).with_row_index("at")
    counted = _last(ledger, counting(recipe).lazy())
    others = ledger.filter(pl.col("params") == "").join(counted, on=_KEY, how="anti", maintain_order="left")
    return pl.concat([counted, others], how="diagonal")


def kept_ids(run: Run, recipe: Recipe, verdicts: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """`question_id` of every question that all filters of its stage have judged and kept, in the table's order.

    A question without a review needs no verdict of `human`. `verdicts` are those in force (`current`), where they are
    derived already.
    """
    listed = pl.col("filter") != HUMAN
    wanted = in_force(recipe).lazy().group_by("stage").agg(wanted=pl.len())
    verdicts = current(run, recipe) if verdicts is None else verdicts
    judged = verdicts.group_by("question_id", "stage").agg(pl.col("keep").all(), judged=listed.sum())
    kept = judged.join(wanted, on="stage").filter(pl.col("keep"), pl.col("judged") == pl.col("wanted"))
    return run.questions.scan().select("question_id").join(kept, on="question_id", how="semi", maintain_order="left")


class Ledger:
    """A snapshot of the verdicts in force, which takes in what is appended through it.

    It is derived once and given to every filter of a phase, since deriving reads the whole table.
    """

    def __init__(self, run: Run, recipe: Recipe) -> None:
        """Read the ledger of `run`; raises `RunError` where a shard is damaged."""
        self.run, self.recipe = run, recipe
        counted = _last(_ledger(run).with_row_index("at"), counting(recipe).lazy())
        self._parts = [counted.select(pl.col(name).cast(kind) for name, kind in _SNAPSHOT.items()).collect()]
        self._appended = run.verdicts.count()

    def append(self, verdicts: Iterable[Verdict]) -> int:
        """Write verdicts of the recipe's filters to the run as one shard; returns how many there were."""
        rows = list(verdicts)
        made = [(v.question_id, v.stage, v.filter, v.keep, str(v.reason), len(v.evidence)) for v in rows]
        at = range(self._appended, self._appended + len(rows))
        frame = pl.DataFrame([(*row, place) for row, place in zip(made, at, strict=True)], _SNAPSHOT, orient="row")
        self._parts.append(frame)
        self._appended += len(rows)
        return self.run.verdicts.append(rows)

    def verdicts(self) -> pl.LazyFrame:
        """One row for each question and filter: `question_id, stage, filter, keep, reason`, `seen` and `at`.

        `seen` is the number of replies that the verdict rests on, `at` its position in the table.
        """
        if len(self._parts) > 1:
            self._parts = [pl.concat(self._parts).unique(_KEY, keep="last", maintain_order=True)]
        return self._parts[0].lazy()

    def dropped(self, through: int, but: str = "") -> pl.LazyFrame:
        """`question_id` of the questions that a filter up to phase `through`, except the one named `but`, drops."""
        names = {section.name for section in self.recipe.filters if section.phase <= through} - {but}
        names |= {HUMAN} if through >= Phase.AUDIT else set()
        gone = self.verdicts().filter(~pl.col("keep"), pl.col("filter").cast(pl.String).is_in(sorted(names)))
        return gone.select("question_id").unique()


def _last(ledger: pl.LazyFrame, force: pl.LazyFrame) -> pl.LazyFrame:
    counted = ledger.join(force, on=["filter", "stage", "params"], maintain_order="left")
    return counted.unique(_KEY, keep="last", maintain_order=True)


def _ledger(run: Run) -> pl.LazyFrame:
    # Shards of before filters had parameters lack the column.
    ledger = run.verdicts.scan().with_columns(pl.col("params").fill_null(""), seen=pl.col("evidence").list.len())
    return ledger.drop("evidence")
