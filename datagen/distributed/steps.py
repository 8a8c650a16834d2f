"""What a worker does with the keys it is given: write questions for captions, or answer questions.

Everything about a key is read from the run's tables when its block comes, and forgotten when it is done, so a worker
that takes over from a dead one goes on behind the last row that was written, and memory does not grow with the run.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import polars as pl

from capcurriculum.rows import Attempt, CaptionedImage, Purpose, Question, Stage
from datagen import probe, rollouts
from datagen.asking.outcomes import Heard
from datagen.asking.ready_queue import ReadyQueue
from datagen.engines.protocol import Engine
from datagen.setting import Setting
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


class StepJob(Protocol[Item, Facts]):
    """What a step asks about the keys that it is given (ids of captions or of questions)."""

    def recall(self, keys: Sequence[str]) -> Facts:
        """What the run's tables hold about the keys; called from other threads while the step asks."""

    def learn(self, facts: Facts, keys: Sequence[str]) -> None:
        """Keep the facts about these keys."""

    def forget(self, key: str) -> None:
        """Drop what is kept about a key that is done."""

    def following(self, key: str) -> Sequence[Item]:
        """What to ask next about the key; empty when it is done."""

    def owner(self, item: Item) -> str:
        """The key that an item belongs to."""

    def ask(self, turns: ReadyQueue[Item], engine: Engine) -> None:
        """Ask everything in the queue, which grows meanwhile, and append the rows."""

    @property
    def heard(self) -> Heard:
        """Outcomes of the replies so far."""


def job(spec: Spec, at: Setting) -> "Teaching | Answering":
    """The job of a step."""
    return Teaching(at, spec.stage) if spec.step == "teacher" else Answering(spec, at)


class Teaching:
    """Keys are captions; each gets its questions from the teacher."""

    def __init__(self, at: Setting, stage: str) -> None:
        self.run = at.run
        self._captions: dict[str, CaptionedImage] = {}
        self._writing = Writing(at, stage, attempts={})

    def recall(self, keys: Sequence[str]) -> tuple[list[CaptionedImage], dict[str, list[Attempt]]]:
        """See `StepJob`."""
        about = pl.col("caption_id").is_in(list(keys))
        return self.run.captions.where(about), tasks.by_caption(self.run.attempts.where(about))

    def learn(self, facts: tuple[list[CaptionedImage], dict[str, list[Attempt]]], keys: Sequence[str]) -> None:
        """See `StepJob`."""
        captions, attempts = facts
        wanted = set(keys)
        self._captions |= {c.caption_id: c for c in captions if c.caption_id in wanted}
        self._writing.attempts |= {key: own for key, own in attempts.items() if key in wanted}

    def forget(self, key: str) -> None:
        """See `StepJob`."""
        del self._captions[key]
        self._writing.attempts.pop(key, None)

    def following(self, key: str) -> list[Task]:
        """See `StepJob`."""
        return self._writing.following(self._captions[key])

    def owner(self, item: Task) -> str:
        """See `StepJob`."""
        return item.caption.caption_id

    def ask(self, turns: ReadyQueue[Task], engine: Engine) -> None:
        """See `StepJob`."""
        self._writing.ask_in_turns(turns, 0, engine)

    @property
    def heard(self) -> Heard:
        """See `StepJob`."""
        return self._writing.heard


class Answering:
    """Keys are questions; one solver answers them, for the probe or as rollouts."""

    def __init__(self, spec: Spec, at: Setting) -> None:
        self.run = at.run
        self._questions: dict[str, Question] = {}
        self._solver = solver(spec, at)
        self._wanted = wanted(spec, at, self._solver)

    def recall(self, keys: Sequence[str]) -> tuple[list[Question], dict[str, dict[Variant, str]]]:
        """See `StepJob`."""
        about = pl.col("question_id").is_in(list(keys))
        return self.run.questions.where(about), self._solver.recorded(about)

    def learn(self, facts: tuple[list[Question], dict[str, dict[Variant, str]]], keys: Sequence[str]) -> None:
        """See `StepJob`."""
        questions, known = facts
        new = set(keys)
        self._questions |= {q.question_id: q for q in questions if q.question_id in new}
        self._solver.known |= {key: own for key, own in known.items() if key in new}

    def forget(self, key: str) -> None:
        """See `StepJob`."""
        del self._questions[key]
        self._solver.known.pop(key, None)

    def following(self, key: str) -> list[Asked]:
        """See `StepJob`."""
        return self._wanted(self._questions[key])

    def owner(self, item: Asked) -> str:
        """See `StepJob`."""
        return item.question.question_id

    def ask(self, turns: ReadyQueue[Asked], engine: Engine) -> None:
        """See `StepJob`."""
        self._solver.use(engine)
        self._solver.ask_in_turns(turns, 0)

    @property
    def heard(self) -> Heard:
        """See `StepJob`."""
        return self._solver.heard


def solver(spec: Spec, at: Setting) -> Solver:
    """The solver of a step, without an engine."""
    purpose = Purpose(spec.step)
    probed = purpose is Purpose.PROBE
    sampling = at.recipe.captioned[spec.stage].probe.sampling if probed else at.recipe.rollouts.sampling
    return Solver(at, spec.model, at.recipe.models[spec.model], sampling.record(), purpose)


def wanted(spec: Spec, at: Setting, by: Solver) -> Callable[[Question], list[Asked]]:
    """What to ask next about a question, by what `by` knows of it."""
    if spec.step == Purpose.ROLLOUT:
        return partial(rollouts.following, solver=by, section=at.recipe.rollouts)
    section = at.recipe.captioned[spec.stage].probe
    asked = probe.asked_of(section, probe.swaps(at.run, section, at.recipe.seed, spec.stage))
    return lambda question: [item for item in asked(question) if not by.done(item)]


def unanswered(spec: Spec, at: Setting, questions: Iterable[Question]) -> list[str]:
    """Ids of the questions that lack something; what is about one image stands together."""
    asked, by = list(questions), solver(spec, at)
    by.remember(asked)
    lacks = wanted(spec, at, by)
    return [key for _, key in sorted((q.image_id, q.question_id) for q in asked if lacks(q))]


def untaught(at: Setting, stage: str) -> list[str]:
    """Ids of the stage's captions that have neither all their questions nor used up their tries."""
    writing = Writing(at, stage)
    return sorted({caption.caption_id for caption in at.run.my_captions(stage) if writing.following(caption)})
