"""What a worker does with the keys it is given: write questions for captions, or answer questions.

Everything about a key is read from the run's tables when its block comes, and forgotten when it is done, so a worker
that takes over from a dead one goes on behind the last row that was written, and memory does not grow with the run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import polars as pl
from rich.console import Console

from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Attempt, CaptionedImage, Purpose, Question, Stage
from capcurriculum.run import Run
from datagen import probe, rollouts
from datagen.asking.outcomes import Heard
from datagen.asking.ready_queue import Turns
from datagen.engines.protocol import Engine
from datagen.solver import Asked, Solver, Variant
from datagen.teacher import tasks
from datagen.teacher.tasks import Task
from datagen.teacher.write import Writing

Item = TypeVar("Item")
Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Spec:
    """A step of the build and the recipe's name of the model that it asks; `step` is teacher, probe or rollout.

    `stage` is whose captions or questions it asks about; a rollout's may be of any.
    """

    step: str
    model: str
    stage: str = Stage.PERCEPTION.value

    def __str__(self) -> str:
        said = self.step if self.step == "teacher" else f"{self.step}, {self.model}"
        return said if self.stage == Stage.PERCEPTION else f"{said}, {self.stage}"


class Duty(Protocol[Item, Facts]):
    """What a key means, and what is asked about it."""

    def recall(self, keys: Sequence[str]) -> Facts:
        """What the run's tables hold about the keys. May be called while something is asked."""

    def learn(self, facts: Facts, keys: Sequence[str]) -> None:
        """Keep of the facts what is about the keys."""

    def forget(self, key: str) -> None:
        """The key is done."""

    def following(self, key: str) -> Sequence[Item]:
        """What it lacks at its present turn; nothing when it needs no more."""

    def owner(self, item: Item) -> str:
        """Whose an item is."""

    def ask(self, turns: Turns[Item], engine: Engine) -> None:
        """Ask for all that `turns` come to want, and append the rows."""

    @property
    def heard(self) -> Heard:
        """What came of the replies so far."""


def duty(spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> "Teaching | Answering":
    """The duty of a step; `folders` maps a stage to the folder its image paths are relative to."""
    if spec.step == "teacher":
        return Teaching(run, recipe, spec.stage, folders[spec.stage])
    return Answering(spec, run, recipe, folders)


class Teaching:
    """Keys are captions; each gets its questions from the teacher."""

    def __init__(self, run: Run, recipe: Recipe, stage: str, folder: Path) -> None:
        self.run = run
        self._captions: dict[str, CaptionedImage] = {}
        self._writing = Writing(run, recipe, stage, folder, attempts={})

    def recall(self, keys: Sequence[str]) -> tuple[list[CaptionedImage], dict[str, list[Attempt]]]:
        """See `Duty`."""
        about = pl.col("caption_id").is_in(list(keys))
        return self.run.captions.where(about), tasks.by_caption(self.run.attempts.where(about))

    def learn(self, facts: tuple[list[CaptionedImage], dict[str, list[Attempt]]], keys: Sequence[str]) -> None:
        """See `Duty`."""
        captions, attempts = facts
        wanted = set(keys)
        self._captions |= {c.caption_id: c for c in captions if c.caption_id in wanted}
        self._writing.attempts |= {key: own for key, own in attempts.items() if key in wanted}

    def forget(self, key: str) -> None:
        """See `Duty`."""
        del self._captions[key]
        self._writing.attempts.pop(key, None)

    def following(self, key: str) -> list[Task]:
        """See `Duty`."""
        return self._writing.following(self._captions[key])

    def owner(self, item: Task) -> str:
        """See `Duty`."""
        return item.caption.caption_id

    def ask(self, turns: Turns[Task], engine: Engine) -> None:
        """See `Duty`."""
        self._writing.ask_in_turns(turns, 0, engine, _quiet())

    @property
    def heard(self) -> Heard:
        """See `Duty`."""
        return self._writing.heard


class Answering:
    """Keys are questions; one solver answers them, for the probe or as rollouts."""

    def __init__(self, spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> None:
        self.run = run
        self._questions: dict[str, Question] = {}
        self._solver = solver(spec, run, recipe, folders)
        self._wanted = wanted(spec, run, recipe, self._solver)

    def recall(self, keys: Sequence[str]) -> tuple[list[Question], dict[str, dict[Variant, str]]]:
        """See `Duty`."""
        about = pl.col("question_id").is_in(list(keys))
        return self.run.questions.where(about), self._solver.recorded(about)

    def learn(self, facts: tuple[list[Question], dict[str, dict[Variant, str]]], keys: Sequence[str]) -> None:
        """See `Duty`."""
        questions, known = facts
        new = set(keys)
        self._questions |= {q.question_id: q for q in questions if q.question_id in new}
        self._solver.known |= {key: own for key, own in known.items() if key in new}

    def forget(self, key: str) -> None:
        """See `Duty`."""
        del self._questions[key]
        self._solver.known.pop(key, None)

    def following(self, key: str) -> list[Asked]:
        """See `Duty`."""
        return self._wanted(self._questions[key])

    def owner(self, item: Asked) -> str:
        """See `Duty`."""
        return item.question.question_id

    def ask(self, turns: Turns[Asked], engine: Engine) -> None:
        """See `Duty`."""
        self._solver.use(engine)
        self._solver.ask_in_turns(turns, 0)

    @property
    def heard(self) -> Heard:
        """See `Duty`."""
        return self._solver.heard


def solver(spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> Solver:
    """The solver of a step, without an engine."""
    purpose = Purpose(spec.step)
    probed = purpose is Purpose.PROBE
    sampling = recipe.captioned[spec.stage].probe.sampling if probed else recipe.rollouts.sampling
    return Solver(run, spec.model, recipe.models[spec.model], sampling.record(), purpose, folders, _quiet())


def wanted(spec: Spec, run: Run, recipe: Recipe, by: Solver) -> Callable[[Question], list[Asked]]:
    """What a question lacks at its present turn, as far as `by` knows."""
    if spec.step == Purpose.ROLLOUT:
        return partial(rollouts.following, solver=by, section=recipe.rollouts)
    section = recipe.captioned[spec.stage].probe
    asked = probe.asked_of(section, probe.swaps(run, section, recipe.seed, spec.stage))
    return lambda question: [item for item in asked(question) if not by.done(item)]


def unanswered(
    spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path], questions: Iterable[Question]
) -> list[str]:
    """Ids of the questions that lack something; what is about one image stands together."""
    asked, by = list(questions), solver(spec, run, recipe, folders)
    by.remember(asked)
    lacks = wanted(spec, run, recipe, by)
    return [key for _, key in sorted((q.image_id, q.question_id) for q in asked if lacks(q))]


def untaught(run: Run, recipe: Recipe, stage: str) -> list[str]:
    """Ids of the stage's captions that have neither all their questions nor used up their tries."""
    writing = Writing(run, recipe, stage, run.path)
    return sorted({caption.caption_id for caption in run.my_captions(stage) if writing.following(caption)})


def _quiet() -> Display:
    """A worker's progress is told by the rows it writes."""
    return Display(Console(quiet=True))
