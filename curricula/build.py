"""The whole data build: sources, teacher, probe, filters, rollouts, stage files, each step doing only what is missing.

Every step reads its input from the run's tables and appends to them, so calling `build` again after any interruption
ends in the same tables, and calling it on a finished run does nothing.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from capcurriculum import locks
from capcurriculum.errors import RunError
from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.recipe_auditor import AuditorSection
from capcurriculum.rows import Answer, Purpose
from capcurriculum.run import Run, writing
from capcurriculum.share import Share
from curricula.order import easy_to_hard
from curricula.split import split_of
from curricula.stage_rows import StageRow
from curricula.write import write_stage
from datagen.auditing import audit
from datagen.probe import probe
from datagen.rollouts import roll_out
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import pipeline


def build(recipe: Recipe, display: Display, share: Share | None = None) -> Run:
    """Build, or go on building, the stage sets of a recipe.

    With a `share`, everything that asks models is done for that share of the rows, beside other processes that do
    theirs; a build without one then does what is left, if anything, and writes the stage sets.

    Raises:
        CapCurriculumError: with one sentence; everything finished so far stays.
    """
    with writing(recipe, share) as run:
        run.event("build started")
        start = time.monotonic()
        with locks.in_turn(run.path):
            gather.gather(run, recipe, display)
        where = gather.folders(run, recipe)
        if recipe.perception:
            write_questions(run, recipe, where, display)
        mine = run.my_ids()
        worth_asking = pipeline.before_probe(run, recipe, mine)
        if recipe.perception:
            probe(run, recipe, where, display, set(worth_asking.collect()["question_id"]))
        kept = pipeline.after_probe(run, recipe, mine)
        _audit(run, recipe, {"probed": worth_asking, "kept": kept}, where, display)
        to_measure = pipeline.after_audit(run, recipe, mine)
        roll_out(run, recipe, pipeline.questions(run, to_measure), where, display)
        pipeline.after_rollouts(run, recipe, mine)
        if share is None:
            for stage, rows in stage_rows(run, recipe).items():
                write_stage(rows, run.stages / stage, where[stage])
                display.note(f"stage {stage}: {len(rows)} rows")
        run.event("build finished", seconds=round(time.monotonic() - start, 1))
    return run


def _audit(
    run: Run, recipe: Recipe, reached: Mapping[str, pl.LazyFrame], where: Mapping[str, Path], display: Display
) -> None:
    """Ask the auditors of the recipe's filters; `reached` are the questions before and after the probe's filters."""
    for section in recipe.filters:
        if isinstance(section, AuditorSection):
            ids = reached[section.questions].filter(pl.col("stage").is_in(list(section.stages)))
            audit(run, recipe, section, pipeline.questions(run, ids), where, display)


def stage_rows(run: Run, recipe: Recipe) -> dict[str, list[StageRow]]:
    """Stage -> its rows, easy to hard, for every stage of the recipe.

    Raises:
        RunError: a stage would be empty.
    """
    rollouts: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.where(pl.col("purpose") == Purpose.ROLLOUT):
        rollouts[answer.question_id].append(answer)
    kept = set(pipeline.kept_ids(run, recipe).collect()["question_id"])
    stages: dict[str, list[StageRow]] = {stage: [] for stage in gather.sections(recipe)}
    for question in run.questions.rows():
        if question.question_id in kept:
            replies, split = rollouts[question.question_id], split_of(question, recipe.split)
            row = StageRow.make(question, replies, split, recipe.rollouts.k)
            stages[question.stage].append(row)
    for stage, rows in stages.items():
        if not rows:
            raise RunError(
                f"No row is left for the {stage} stage; `capcurriculum funnel {run.path}` shows where they went."
            )
    return {stage: easy_to_hard(rows, recipe.seed) for stage, rows in stages.items()}
