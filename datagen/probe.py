"""The probe: every solver answers every question on every arm, in one or two orders of the options.

All that is asked about one image stands together, which is what engines that remember prefixes and images like best.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.progress import Display
from capcurriculum.recipe import ProbeSection, Recipe
from capcurriculum.rows import Arm, Purpose, Question, Stage
from capcurriculum.run import Run
from datagen.solving import Asked, Picture, Solver
from datagen.swapping import partners


def probe(
    run: Run, recipe: Recipe, folders: Mapping[str, Path], display: Display, only: Container[str] | None = None
) -> None:
    """Append the answers that are missing; `only` are the ids of the questions worth asking, by default all.

    Raises:
        EngineError: a solver cannot be used.
        SourceError: the swapped arm is wanted and there is only one image.
    """
    assert recipe.perception is not None
    section = recipe.perception.probe
    questions = sorted(
        (q for q in run.questions.rows() if q.stage == Stage.PERCEPTION), key=lambda q: (q.image_id, q.question_id)
    )
    asked = [
        item
        for item in everything(questions, section, recipe.seed)
        if only is None or item.question.question_id in only
    ]
    for solver in section.solvers:
        model, sampling = recipe.models[solver], section.sampling.record()
        with Solver(run, solver, model, sampling, Purpose.PROBE, folders, display) as opened:
            opened.ask(asked)


def everything(questions: Sequence[Question], section: ProbeSection, seed: int) -> Iterator[Asked]:
    """What one solver is asked about `questions`.

    Raises:
        SourceError: the swapped arm is wanted and there is only one image.
    """
    pictures = {q.image_id: Picture(q.image_id, q.image_path) for q in questions}
    other = partners(pictures, seed)
    if Arm.SWAPPED in section.arms and questions and not other:
        raise SourceError("The swapped arm needs two images, and the source has one; leave the arm out of the recipe.")
    for question in questions:
        for arm in map(Arm, section.arms):
            shown = pictures[other[question.image_id]] if arm is Arm.SWAPPED else None
            for order in (0, 1) if section.other_order else (0,):
                yield Asked(question, arm, order=order, shown=shown)
