"""Which verdicts count: for each question and filter the last one made under the recipe's present parameters.

The ledger only grows. A recipe whose filters changed leaves the old verdicts where they are, so that changing it back
finds them again, and everything that counts rows asks here first.
"""

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.review import HUMAN
from capcurriculum.run import Run

_FORCE = {"filter": pl.String, "stage": pl.String, "params": pl.String, "place": pl.Int64, "phase": pl.Int64}


def in_force(recipe: Recipe) -> pl.DataFrame:
    """One row for each filter of the recipe and stage it judges.

    `place` is its place on the road from 0 on: by phase, and inside a phase in the recipe's order.
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
    """See that every filter of the recipe has judged the run's questions as the recipe sets it.

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
    """The same with people, who come last, since a question need not have their verdict.

    What they drop costs no rollout, as what auditors drop.
    """
    listed = in_force(recipe)
    stages, place, phase = listed["stage"].unique(maintain_order=True), len(recipe.filters), int(Phase.AUDIT)
    people = [(HUMAN, stage, recipe.review.digest(), place, phase) for stage in stages]
    return pl.concat([listed, pl.DataFrame(people, schema=_FORCE, orient="row")])


def current(run: Run, recipe: Recipe, *which: pl.Expr) -> pl.LazyFrame:
    """The verdicts of the recipe's filters and of people that count, in the order they were made.

    `which` are predicates on the columns of `counting`: those of other filters are left out before sorting.
    Columns: those of `Verdict`, with `seen` (how many replies it rests on) for `evidence`; `place` and `phase`.
    """
    force = counting(recipe).lazy().filter(*which)
    verdicts = _ledger(run).join(force, on=["filter", "stage", "params"], maintain_order="left")
    return verdicts.unique(["filter", "stage", "question_id"], keep="last", maintain_order=True)


def everything(run: Run, recipe: Recipe) -> pl.LazyFrame:
    """The same, with the verdicts of steps that no recipe lists (sources, teacher), whose `place` is null.

    So are those of runs from before filters had parameters, until their questions are judged again.
    """
    counting = current(run, recipe)
    others = _ledger(run).filter(pl.col("params") == "")
    others = others.join(counting, on=["filter", "stage", "question_id"], how="anti", maintain_order="left")
    return pl.concat([counting, others], how="diagonal")


def dropped(run: Run, recipe: Recipe, through: int, but: str = "") -> pl.LazyFrame:
    """Ids (`question_id`) of the questions that a filter up to phase `through`, except the one named, drops."""
    verdicts = current(run, recipe, pl.col("phase") <= through, pl.col("filter") != but)
    return verdicts.filter(~pl.col("keep")).select("question_id").unique()


def _ledger(run: Run) -> pl.LazyFrame:
    # Shards of before filters had parameters lack the column.
    ledger = run.verdicts.scan().with_columns(pl.col("params").fill_null(""), seen=pl.col("evidence").list.len())
    return ledger.drop("evidence")
