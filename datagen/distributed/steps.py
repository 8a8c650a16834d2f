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
from capcurriculum.recipe.filter_section import ProbeKey
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Attempt, CaptionedImage, Purpose, Question, Stage
from capcurriculum.run import Run
from datagen import probe, rollouts
from datagen.asking.outcomes import Heard
from datagen.asking.ready_queue import ReadyQueue
from datagen.engines.protocol import Engine
from datagen.solver import Asked, Solver, Variant
from datagen.teacher import tasks
from datagen.teacher.tasks import Task
from datagen.teacher.write import Writing
from datagen.undecided import key_of

Item = TypeVar("Item")
Facts_ = TypeVar("Facts_")
#: Question id -> the replies of the probe.
Replies = dict[str, dict[ProbeKey, Answer]]
#: What the tables hold about questions: they themselves, outcomes of the solver's own replies, replies of the probe.
Facts = tuple[list[Question], dict[str, dict[Variant, str]], Replies]


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


class StepJob(Protocol[Item, Facts_]):
    """What a step asks about the keys that it is given (ids of captions or of questions)."""

    def recall(self, keys: Sequence[str]) -> Facts_:
        """What the run's tables hold about the keys; called from other threads while the step asks."""

    def learn(self, facts: Facts_, keys: Sequence[str]) -> None:
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


def job(spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> "Teaching | Answering":
    """The job of a step; `folders` maps a stage to the folder its image paths are relative to."""
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
        self._writing.ask_in_turns(turns, 0, engine, _quiet())

    @property
    def heard(self) -> Heard:
        """See `StepJob`."""
        return self._writing.heard


class Answering:
    """Keys are questions; one solver answers them, for the probe or as rollouts."""

    def __init__(self, spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> None:
        self.run = run
        self._questions: dict[str, Question] = {}
        self._solver = solver(spec, run, recipe, folders)
        self._wanted = Wanted(spec, run, recipe, self._solver)

    def recall(self, keys: Sequence[str]) -> Facts:
        """See `StepJob`."""
        about = pl.col("question_id").is_in(list(keys))
        questions = self.run.questions.where(about)
        return questions, self._solver.recorded(about), self._wanted.replies_to(questions)

    def learn(self, facts: Facts, keys: Sequence[str]) -> None:
        """See `StepJob`."""
        questions, known, replies = facts
        new = set(keys)
        self._questions |= {q.question_id: q for q in questions if q.question_id in new}
        self._solver.known |= {key: own for key, own in known.items() if key in new}
        self._wanted.replies |= {key: own for key, own in replies.items() if key in new}

    def forget(self, key: str) -> None:
        """See `StepJob`."""
        del self._questions[key]
        self._solver.known.pop(key, None)
        self._wanted.replies.pop(key, None)

    def following(self, key: str) -> list[Asked]:
        """See `StepJob`."""
        return self._wanted.next(self._questions[key])

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


def solver(spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path]) -> Solver:
    """The solver of a step, without an engine."""
    purpose = Purpose(spec.step)
    probed = purpose is Purpose.PROBE
    sampling = recipe.captioned[spec.stage].probe.sampling if probed else recipe.rollouts.sampling
    return Solver(run, spec.model, recipe.models[spec.model], sampling.record(), purpose, folders, _quiet())


class Wanted:
    """What to ask next about a question: by what the solver `by` replied, and in the probe by what all solvers did."""

    def __init__(self, spec: Spec, run: Run, recipe: Recipe, by: Solver) -> None:
        self._run, self._needs = run, None
        #: Question id -> all replies of the probe, where they decide what is asked.
        self.replies: Replies = {}
        if spec.step == Purpose.ROLLOUT:
            self.next: Callable[[Question], list[Asked]] = partial(
                rollouts.following, solver=by, section=recipe.rollouts
            )
            return
        self._needs = needs = probe.Needs(run, recipe, spec.stage)
        by.on_answer = self._note
        self.next = lambda q: needs.following(q, self.replies.get(q.question_id, {}), by.name)

    def replies_to(self, questions: Sequence[Question]) -> Replies:
        """What the run holds of the replies that decide, if any do."""
        return probe.answered(self._run, questions, self._needs.corrected) if self._needs else {}

    def _note(self, answer: Answer) -> None:
        self.replies[answer.question_id][key_of(answer)] = answer


def unanswered(
    spec: Spec, run: Run, recipe: Recipe, folders: Mapping[str, Path], questions: Iterable[Question]
) -> list[str]:
    """Ids of the questions that lack something; what is about one image stands together."""
    asked, by = list(questions), solver(spec, run, recipe, folders)
    by.remember(asked)
    lacks = Wanted(spec, run, recipe, by)
    lacks.replies = lacks.replies_to(asked)
    return [key for _, key in sorted((q.image_id, q.question_id) for q in asked if lacks.next(q))]


def untaught(run: Run, recipe: Recipe, stage: str) -> list[str]:
    """Ids of the stage's captions that have neither all their questions nor used up their tries."""
    writing = Writing(run, recipe, stage, run.path)
    return sorted({caption.caption_id for caption in run.my_captions(stage) if writing.following(caption)})


def _quiet() -> Display:
    """No display: a worker's progress shows in the rows that it writes."""
    return Display(Console(quiet=True))
