"""The probe: every solver answers every question on every arm, in one or two orders of the options.

All that is asked about one image stands together, which is what engines that remember prefixes and images like best.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

import polars as pl

from capcurriculum.errors import SourceError
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import SCHEMA, Arm, Purpose, Question, digest
from capcurriculum.run import Run, stage_of_caption
from datagen.setting import Setting
from datagen.solver import Asked, ImageFile, Solver


def probe(at: Setting, only: Container[str] | None = None) -> None:
    """Append the answers that are missing; `only` are the ids of the questions worth asking, by default all.

    Raises:
        EngineError: a solver cannot be used.
        SourceError: the swapped arm is wanted and there is only one image.
    """
    for stage, made in at.recipe.captioned.items():
        section = made.probe
        mine = (q for q in at.run.my_questions(pl.col("stage") == stage) if only is None or q.question_id in only)
        questions = sorted(mine, key=lambda q: (q.image_id, q.question_id))
        asked = asked_of(section, swaps(at.run, section, at.recipe.seed, stage))
        for solver in section.solvers:
            model, sampling = at.recipe.models[solver], section.sampling.record()
            with Solver(at, solver, model, sampling, Purpose.PROBE) as opened:
                opened.ask_all(questions, asked)


def swaps(run: Run, section: ProbeSection, seed: int, stage: str) -> Mapping[str, ImageFile]:
    """Image id -> the image that the swapped arm shows instead; empty if the recipe leaves that arm out.

    Drawn over all images that were read for the stage, whatever became of their questions, so that every share of a run
    draws alike.

    Raises:
        SourceError: there is only one image.
    """
    if Arm.SWAPPED not in section.arms:
        return {}
    frame = run.captions.scan().filter(stage_of_caption() == stage).select("image_id", "image_path").collect()
    frame = frame.unique("image_id", keep="first", maintain_order=True)
    images = {image: ImageFile(image, path) for image, path in frame.iter_rows()}
    other = partners(images, seed)
    if images and not other:
        raise SourceError("The swapped arm needs two images, and the source has one; leave the arm out of the recipe.")
    return {image: images[partner] for image, partner in other.items()}


def partners(image_ids: Iterable[str], seed: int) -> dict[str, str]:
    """Image id -> the id of another image, which the swapped arm shows in its place; empty for fewer than two images.

    A permutation without fixed points: the ids in an order drawn from their content and `seed`, each followed by the
    next.
    """
    ids = sorted(set(image_ids), key=lambda image: (digest(SCHEMA, "swap", seed, image), image))
    return dict(zip(ids, ids[1:] + ids[:1], strict=True)) if len(ids) > 1 else {}


def asked_of(section: ProbeSection, swapped: Mapping[str, ImageFile]) -> Callable[[Question], Iterator[Asked]]:
    """What one solver is asked about a question."""
    orders = (0, 1) if section.other_order else (0,)
    arms = tuple(map(Arm, section.arms))

    def asked(question: Question) -> Iterator[Asked]:
        for arm in arms:
            shown = swapped[question.image_id] if arm is Arm.SWAPPED else None
            for order in orders:
                yield Asked(question, arm, order=order, shown=shown)

    return asked
