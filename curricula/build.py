"""The whole data build: sources, teacher, probe, filters, rollouts, stage files, each step doing only what is missing.

Every step reads its input from the run's tables and appends to them, so calling `build` again after any interruption
ends in the same tables, and calling it on a finished run does nothing.
"""

import time
from collections.abc import Sequence

from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Purpose, Question, Stage, Verdict
from capcurriculum.run import Run, writing
from curricula.make import STAGES, write_orders
from datagen.probe import probe
from datagen.rollouts import roll_out
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import difficulty, measured, perception, runner


def build(recipe: Recipe, display: Display) -> Run:
    """Build, or go on building, the stage sets of a recipe.

    Raises:
        CapCurriculumError: with one sentence; everything finished so far stays.
    """
    with writing(recipe) as run:
        run.event("build started")
        start = time.monotonic()
        gather.gather(run, recipe, display)
        where = gather.folders(run, recipe)
        if recipe.perception:
            write_questions(run, recipe, where, display)
            probe(run, recipe, where, display)
            _judge_perception(run, recipe)
        questions = _to_measure(run)
        roll_out(run, recipe, questions, where, display)
        _judge_rollouts(run, recipe, questions)
        write_orders(run, recipe, [STAGES, *recipe.curriculum.orders], display)
        run.event("build finished", seconds=round(time.monotonic() - start, 1))
    return run


def _judge_perception(run: Run, recipe: Recipe) -> None:
    assert recipe.perception is not None
    solvers = recipe.perception.probe.solvers

    def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
        return perception.judge(question, answers, solvers)

    questions = [q for q in run.questions.rows() if q.stage == Stage.PERCEPTION]
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
    return [q for q in run.questions.rows() if q.stage != Stage.PERCEPTION or q.question_id in passed]
