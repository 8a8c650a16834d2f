"""What a worker does with the keys it is given: write questions for captions, or answer questions.

Everything about a key is read from the run's tables when its block comes, and forgotten when it is done, so a worker
that takes over from a dead one goes on behind the last row that was written, and memory does not grow with the run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import polars as pl

from capcurriculum.rows import Answer, Purpose, Question, Stage
from capcurriculum.tables import Table
from datagen import probe, rollouts
from datagen.asking.outcomes import Heard
from datagen.asking.ready_queue import ReadyQueue
from datagen.engines.protocol import Engine
from datagen.setting import Setting
from datagen.solver import Asked, Solver
from datagen.teacher import tasks
from datagen.teacher.write import Writing
from datagen.undecided import key_of

Item = TypeVar("Item")
Row = TypeVar("Row")


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


@dataclass(frozen=True, slots=True)
class StepJob(Generic[Row, Item]):
    """What a step asks about the keys that it is given: ids of captions or of questions, the `column` of `table`.

    `rows` holds the caption or question of each key in hand, `past` what was asked about it before; `read_past` reads
    that from the run's tables. `following_row` returns what to ask next about a row, nothing when it is done, and
    `owner` the key that an item belongs to. `ask` asks everything in a queue, which grows meanwhile.
    """

    column: str
    table: Table[Row]
    past: dict[str, Any]
    read_past: Callable[[pl.Expr], Mapping[str, Any]]
    following_row: Callable[[Row], Sequence[Item]]
    owner: Callable[[Item], str]
    ask: Callable[[ReadyQueue[Item], Engine], None]
    heard: Heard
    rows: dict[str, Row] = field(default_factory=dict)

    def recall(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], Mapping[str, Any]]:
        """What the run's tables hold about the keys; called from other threads while the step asks."""
        about = pl.col(self.column).is_in(list(keys))
        return {getattr(row, self.column): row for row in self.table.where(about)}, self.read_past(about)

    def learn(self, facts: tuple[Mapping[str, Row], Mapping[str, Any]], keys: Sequence[str]) -> None:
        """Keep the facts about these keys."""
        for kept, found in zip((self.rows, self.past), facts, strict=True):
            kept.update({key: found[key] for key in keys if key in found})

    def forget(self, key: str) -> None:
        """Drop what is kept about a key that is done."""
        del self.rows[key]
        self.past.pop(key, None)

    def following(self, key: str) -> Sequence[Item]:
        """What to ask next about the key; empty when it is done."""
        return self.following_row(self.rows[key])


def job(spec: Spec, at: Setting) -> StepJob[Any, Any]:
    """The job of a step: a teacher writes questions for captions, or a solver answers questions."""
    if spec.step == "teacher":
        writing = Writing(at, spec.stage, attempts={})
        return StepJob(
            column="caption_id",
            table=at.run.captions,
            past=writing.attempts,
            read_past=lambda about: tasks.by_caption(at.run.attempts.where(about)),
            following_row=writing.following,
            owner=lambda task: task.caption.caption_id,
            ask=lambda turns, engine: writing.ask_in_turns(turns, 0, engine),
            heard=writing.heard,
        )
    by = solver(spec, at)
    asking = wanted(spec, at, by)

    def ask(turns: ReadyQueue[Asked], engine: Engine) -> None:
        by.use(engine)
        by.ask_in_turns(turns, 0)

    return StepJob(
        column="question_id",
        table=at.run.questions,
        past=asking.past,
        read_past=asking.read_past,
        following_row=asking.following,
        owner=lambda item: item.question.question_id,
        ask=ask,
        heard=by.heard,
    )


def solver(spec: Spec, at: Setting) -> Solver:
    """The solver of a step, without an engine."""
    purpose = Purpose(spec.step)
    section = at.recipe.captioned[spec.stage].probe if purpose is Purpose.PROBE else at.recipe.rollouts
    return Solver(at, spec.model, at.recipe.models[spec.model], section.sampling.record(), purpose)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a solver is to be asked: `following` returns it for a question, by what `past` holds of its replies.

    A rollout depends on the solver's own replies, a reply of the probe on those of all solvers.
    """

    past: dict[str, Any]
    read_past: Callable[[pl.Expr], Mapping[str, Any]]
    following: Callable[[Question], list[Asked]]


def wanted(spec: Spec, at: Setting, by: Solver) -> Wanted:
    """What the solver `by` is to be asked in a step."""
    if spec.step == Purpose.ROLLOUT:
        return Wanted(by.known, by.recorded, partial(rollouts.following, solver=by, section=at.recipe.rollouts))
    needs, replies = probe.Needs(at, spec.stage), probe.Replies(dict)

    def note(answer: Answer) -> None:
        replies[answer.question_id][key_of(answer)] = answer

    by.on_answer = note
    return Wanted(
        replies,
        lambda about: probe.answered(at.run, needs.corrected, about),
        lambda question: needs.following(question, replies[question.question_id], by.name),
    )


def unanswered(spec: Spec, at: Setting, questions: Iterable[Question]) -> list[str]:
    """Ids of the questions that lack something; what is about one image stands together."""
    asked, by = list(questions), solver(spec, at)
    asking = wanted(spec, at, by)
    asking.past.update(asking.read_past(pl.col("question_id").is_in([q.question_id for q in asked])))
    return [key for _, key in sorted((q.image_id, q.question_id) for q in asked if asking.following(q))]


def untaught(at: Setting, stage: str) -> list[str]:
    """Ids of the stage's captions that have neither all their questions nor used up their tries."""
    writing = Writing(at, stage)
    return sorted({caption.caption_id for caption in at.run.my_captions(stage) if writing.following(caption)})
