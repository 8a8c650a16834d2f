"""The phases of a recipe's filters, in the order of the build: what each judges, and which questions it leaves."""

from collections.abc import Callable, Iterator

import polars as pl

from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.rows import Question
from capcurriculum.run import Run
from datagen.setting import Setting
from datagen.sources import gather
from filters import evidence
from filters.base import Rule
from filters.human import people
from filters.runner import BATCH, judge_phase


def run_phase(at: Setting, phase: Phase, within: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Append the verdicts that the filters of a phase have still to give.

    A build that works on a share of the questions names them by `within`, a frame with `question_id`; filters that
    compare all questions wait for a call without it.

    Returns:
        `question_id` and `stage` of the questions that nothing has dropped so far, lazily and in the table's order.
    """
    people.settle(at.run, at.recipe, within)
    ledger = judge_phase(at, phase, within)
    left = at.run.questions.scan().select("question_id", "stage")
    if within is not None:
        left = left.join(within, on="question_id", how="semi", maintain_order="left")
    return left.join(ledger.dropped(phase), on="question_id", how="anti", maintain_order="left")


def admits(at: Setting) -> Callable[[Question], bool] | None:
    """Whether a question comes through the filters before the probe, as their phase will find it.

    None where that depends on other questions. The function may be called from several threads.
    """
    early = [f for f in at.recipe.filters if f.phase is Phase.QUESTION and f.action == "drop"]
    rules = [f for f in early if isinstance(f, Rule)]
    if len(rules) < len(early):
        return None
    judges = [(rule, rule.judging(at)) for rule in rules]
    return lambda q: all(judge(q, ()).keep for rule, judge in judges if q.stage in rule.stages)


def questions(run: Run, ids: pl.LazyFrame) -> Iterator[Question]:
    """The questions of `ids`, read in batches of sorted ids."""
    for batch in ids.select("question_id").collect().sort("question_id").iter_slices(BATCH):
        yield from evidence.questions(run, batch)


def judge_again(run: Run, recipe: Recipe) -> None:
    """Judge again by the reviews of a run, if it has any; asks no model."""
    if run.reviews.shards():
        at = gather.setting(run, recipe)
        for phase in Phase:
            run_phase(at, phase)
