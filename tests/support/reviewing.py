"""Reviews as people would give them, over a small planted run."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks.review_world import World
from capcurriculum.rows import Question, Review
from capcurriculum.run import Run, writing
from filters.human.form import State, version

AT = "2026-01-01T00:00:0{}.000+00:00"


def review(question: Question, right: str, choice: str = "", who: str = "a", at: int = 0, **changes: object) -> Review:
    """One review of the present version of a question."""
    values: dict[str, object] = {
        "review_id": Review.key(question.question_id, version(question), who, "test", right, choice, at, str(changes)),
        "question_id": question.question_id,
        "version": version(question),
        "annotator": who,
        "origin": "test",
        "said_at": AT.format(at),
        "state": State.SUBMITTED,
        "right": right,
        "choice": choice,
    }
    return Review(**(values | changes))  # type: ignore[arg-type]


def say(world: World, reviews: Iterable[Review]) -> None:
    """Append reviews to the world's run."""
    with writing(world.recipe) as opened:
        opened.reviews.append(reviews)


def copied(world: World, folder: Path) -> World:
    """The world's run in another folder, its pictures where they were."""
    run = Run(folder / world.run.path.name)
    shutil.copytree(world.run.path, run.path)
    return World(run, world.recipe.model_copy(update={"runs": str(folder)}), world.truth)
