"""The whole data build: sources, teacher, probe, filters, rollouts, stage files, each step doing only what is missing.

Every step reads its input from the run's tables and appends to them, so calling `build` again after any interruption
ends in the same tables, and calling it on a finished run does nothing.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

import polars as pl

from capcurriculum import locks
from capcurriculum.errors import RunError
from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Purpose, Question, Stage, Verdict
from capcurriculum.run import Run, writing
from capcurriculum.share import Share
from curricula.order import easy_to_hard
from curricula.split import split_of
from curricula.stage_rows import StageRow
from curricula.write import write_stage
from datagen.distributed.crew import hired
from datagen.probe import probe
from datagen.rollouts import roll_out
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import difficulty, measured, perception, runner


def build(recipe: Recipe, display: Display, share: Share | None = None, ray: str | None = None) -> Run:
    """Build, or go on building, the stage sets of a recipe.

    With a `share`, everything that asks models is done for that share of the rows, beside other processes that do
    theirs; a build without one then does what is left, if anything, and writes the stage sets. With `ray`, an address
    as in `datagen.distributed.cluster.joined`, models are asked by workers there.

    Raises:
        CapCurriculumError: with one sentence; everything finished so far stays.
    """
    with writing(recipe, share) as run, hired(run, recipe, ray, display) as crew:
        run.event("build started")
        start = time.monotonic()
        with locks.in_turn(run.path):
            gather.gather(run, recipe, display)
        where = gather.folders(run, recipe)
        if crew:
            crew.folders = where
        if recipe.perception:
            if crew:
                crew.teach()
            write_questions(run, recipe, where, display)
            if crew:
                crew.probe()
            probe(run, recipe, where, display)
            _judge_perception(run, recipe)
        questions = _to_measure(run)
        if crew:
            crew.roll_out(questions)
        roll_out(run, recipe, questions, where, display)
        _judge_rollouts(run, recipe, questions)
        if share is None:
            for stage, rows in stage_rows(run, recipe).items():
                write_stage(rows, run.stages / stage, where[stage])
                display.note(f"stage {stage}: {len(rows)} rows")
        run.event("build finished", seconds=round(time.monotonic() - start, 1))
    return run


def _judge_perception(run: Run, recipe: Recipe) -> None:
    assert recipe.perception is not None
    solvers = recipe.perception.probe.solvers

    def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
        return perception.judge(question, answers, solvers)

    questions = [q for q in run.my_questions() if q.stage == Stage.PERCEPTION]
    runner.apply(run, perception.FILTER, judge, questions, Purpose.PROBE)


def _judge_rollouts(run: Run, recipe: Recipe, questions: Sequence[Question]) -> None:
    runner.apply(run, measured.FILTER, measured.judge, questions, Purpose.ROLLOUT)
    section = recipe.rollouts
    if section.above is None and section.below is None:
        return

    def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
        return difficulty.judge(question, answers, section)

    passed = runner.kept(run, measured.FILTER)
    runner.apply(run, difficulty.FILTER, judge, [q for q in questions if q.question_id in passed], Purpose.ROLLOUT)


def _to_measure(run: Run) -> list[Question]:
    """Perception questions that passed the probe, and every problem of the other stages."""
    passed = runner.kept(run, perception.FILTER)
    return [q for q in run.my_questions() if q.stage != Stage.PERCEPTION or q.question_id in passed]


def stage_rows(run: Run, recipe: Recipe) -> dict[str, list[StageRow]]:
    """Stage -> its rows, easy to hard, for every stage of the recipe.

    Raises:
        RunError: a stage would be empty.
    """
    rollouts: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.where(pl.col("purpose") == Purpose.ROLLOUT):
        rollouts[answer.question_id].append(answer)
    bounded = recipe.rollouts.above is not None or recipe.rollouts.below is not None
    kept = runner.kept(run, difficulty.FILTER if bounded else measured.FILTER)
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
