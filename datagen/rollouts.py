"""K replies of the model that will be trained, to questions of any stage, asked as training will ask them.

With early stopping K is an upper bound: replies come in rounds, and a question leaves when the recipe's rule says that
it has enough (see `stopping`). A round depends on the replies of the rounds before it and on nothing else, so a resumed
build asks just what an undisturbed one would have.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Purpose, Question
from capcurriculum.run import Run
from datagen.solving import Asked, Solver, home_arm
from datagen.stopping import Tally, enough, rounds


def roll_out(
    run: Run, recipe: Recipe, questions: Iterable[Question], folders: Mapping[str, Path], display: Display
) -> None:
    """Append the replies that are missing.

    Raises:
        EngineError: the model cannot be used.
    """
    section = recipe.rollouts
    ordered = sorted(questions, key=lambda q: (q.stage, q.image_id, q.question_id))
    model, sampling = recipe.models[section.model], section.sampling.record()
    with Solver(run, section.model, model, sampling, Purpose.ROLLOUT, folders, display) as solver:
        for indices in rounds(section):
            if indices.start:
                tallies = _tallies(run, indices.start)
                ordered = [q for q in ordered if not enough(tallies[q.question_id], section)]
            solver.ask([Asked(question, home_arm(question), k) for question in ordered for k in indices])


def _tallies(run: Run, below: int) -> Mapping[str, Tally]:
    """Question id -> the count over its first `below` rollouts."""
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in run.answers.where(pl.col("purpose") == Purpose.ROLLOUT, pl.col("rollout") < below):
        found[answer.question_id].append(answer)
    return defaultdict(Tally, {question: Tally.of(answers, below) for question, answers in found.items()})
