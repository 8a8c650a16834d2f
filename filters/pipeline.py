"""The filters of a recipe in the order of the build: what is judged when, and what is left after each phase.

`before_probe` to `after_rollouts` judge what their phase has still to judge and return `question_id` and `stage` of the
questions that nothing has dropped so far, lazily and in the table's order. A build that works on a share of the
questions says which ones by `within`, a frame with `question_id`; filters that compare all questions wait for a call
without it.
"""

from collections.abc import Iterator

import polars as pl

from capcurriculum.ledger.verdicts import current, in_force
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Question
from capcurriculum.run import Run
from datagen.sources import gather
from filters import evidence
from filters.base import Setting
from filters.human import people
from filters.runner import BATCH, judge_phase


def before_probe(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Judge the questions by themselves, before any of them costs a request."""
    return _through(run, recipe, Phase.QUESTION, within)


def after_probe(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Judge by what the solvers replied."""
    return _through(run, recipe, Phase.PROBE, within)


def after_audit(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Judge by what an auditor says of the marked answers."""
    return _through(run, recipe, Phase.AUDIT, within)


def after_rollouts(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Judge by the pass rates."""
    return _through(run, recipe, Phase.ROLLOUT, within)


def kept_ids(run: Run, recipe: Recipe, verdicts: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """`question_id` of every question that all filters for its stage have judged and kept, in the table's order.

    What people dropped is left out; other questions need no review. `verdicts` are those in force (`current`), where
    they are derived already.
    """
    listed = pl.col("filter") != HUMAN
    wanted = in_force(recipe).lazy().group_by("stage").agg(wanted=pl.len())
    verdicts = current(run, recipe) if verdicts is None else verdicts
    judged = verdicts.group_by("question_id", "stage").agg(pl.col("keep").all(), judged=listed.sum())
    kept = judged.join(wanted, on="stage").filter(pl.col("keep"), pl.col("judged") == pl.col("wanted"))
    return run.questions.scan().select("question_id").join(kept, on="question_id", how="semi", maintain_order="left")


def questions(run: Run, ids: pl.LazyFrame) -> Iterator[Question]:
    """The questions of such ids, a batch in memory at a time; they come by ranges of their ids."""
    for batch in ids.select("question_id").collect().sort("question_id").iter_slices(BATCH):
        yield from evidence.questions(run, batch)


def judge_again(run: Run, recipe: Recipe) -> None:
    """Bring all verdicts up to date with the reviews, asking no model; does nothing in a run without reviews."""
    if run.reviews.shards():
        for phase in Phase:
            _through(run, recipe, phase, None)


def _through(run: Run, recipe: Recipe, phase: Phase, within: pl.LazyFrame | None) -> pl.LazyFrame:
    people.settle(run, recipe, within)
    ledger = judge_phase(Setting(run, recipe, gather.folders(run, recipe)), phase, within)
    left = run.questions.scan().select("question_id", "stage")
    if within is not None:
        left = left.join(within, on="question_id", how="semi", maintain_order="left")
    return left.join(ledger.dropped(phase), on="question_id", how="anti", maintain_order="left")
