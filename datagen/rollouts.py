"""K replies of the model that will be trained, to questions of any stage, asked as training will ask them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Purpose, Question
from capcurriculum.run import Run
from datagen.solving import Asked, home_arm, solve


def roll_out(
    run: Run, recipe: Recipe, questions: Iterable[Question], folders: Mapping[str, Path], display: Display
) -> None:
    """Append the replies that are missing to make K of every question.

    Raises:
        EngineError: the model cannot be used.
    """
    section = recipe.rollouts
    ordered = sorted(questions, key=lambda q: (q.stage, q.image_id, q.question_id))
    asked = [Asked(question, home_arm(question), k) for question in ordered for k in range(section.k)]
    model = recipe.models[section.model]
    solve(run, section.model, model, section.sampling.record(), Purpose.ROLLOUT, asked, folders, display)
