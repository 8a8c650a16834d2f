"""The perception probe: every solver answers every question from the image and from the caption."""

from collections.abc import Mapping
from pathlib import Path

from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Arm, Purpose, Stage
from capcurriculum.run import Run
from datagen.solving import Asked, solve

ARMS = (Arm.IMAGE, Arm.CAPTION)


def probe(run: Run, recipe: Recipe, folders: Mapping[str, Path], display: Display) -> None:
    """Append the answers that are missing.

    Raises:
        EngineError: a solver cannot be used.
    """
    assert recipe.perception is not None
    section = recipe.perception.probe
    questions = sorted(
        (q for q in run.questions.rows() if q.stage == Stage.PERCEPTION), key=lambda q: (q.image_id, q.question_id)
    )
    asked = [Asked(question, arm) for question in questions for arm in ARMS]
    for solver in section.solvers:
        sampling = section.sampling.record()
        solve(run, solver, recipe.models[solver], sampling, Purpose.PROBE, asked, folders, display)
