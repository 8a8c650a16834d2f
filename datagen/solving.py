"""Ask solvers and grade what they say: the one way in which probes and rollouts become `answers` rows.

The system turn is the unified prompt, the user turn is the problem as training will show it, and the grade is
`capcurriculum.answers.grade`, the function the reward calls, so a pass rate means what the reward will mean.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from capcurriculum import answers, prompts
from capcurriculum.progress import Display
from capcurriculum.recipe_models import ModelSection
from capcurriculum.rows import Answer, Arm, Message, Outcome, Purpose, Question, Request, Response, Sampling
from capcurriculum.run import Run
from datagen import engines
from datagen.accounting import Meter
from datagen.asking import Ask, ask_missing
from datagen.orders import rotated, written


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file by its digest and its path below its source's folder."""

    image_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to ask: a question on one arm, for the `rollout`-th time, its options rotated by `order`.

    `shown` is the picture of the swapped arm.
    """

    question: Question
    arm: Arm
    rollout: int = 0
    order: int = 0
    shown: Picture | None = None


def messages(question: Question, arm: Arm, order: int = 0) -> tuple[Message, ...]:
    """The chat turns of a question on an arm."""
    system = Message("system", prompts.system())
    problem, _, _ = rotated(question, order)
    match arm:
        case Arm.IMAGE | Arm.SWAPPED:
            return system, Message("user", problem, images=1)
        case Arm.CAPTION:
            return system, Message("user", prompts.caption_arm(question.caption, problem))
        case Arm.BLIND | Arm.TEXT:
            return system, Message("user", problem)


def home_arm(question: Question) -> Arm:
    """How training will show the question: with its image if it has one."""
    return Arm.IMAGE if question.image_path else Arm.TEXT


class Solver:
    """One model under one name, asked for one purpose; its engine is started when there is something to ask.

    `folders` maps a stage to the folder its image paths are relative to. An `engine` that is given is used and left
    open; otherwise one is started and closed here.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        model: ModelSection,
        sampling: Sampling,
        purpose: Purpose,
        folders: Mapping[str, Path],
        display: Display,
        engine: engines.Engine | None = None,
    ) -> None:
        self.run, self.name, self.model, self.sampling = run, name, model, sampling
        self.purpose, self.folders, self.display = purpose, folders, display
        self._open = ExitStack()
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def ask(self, asked: Sequence[Asked]) -> None:
        """Append an answer for everything in `asked` that the run has none for.

        Raises:
            EngineError: the model cannot be used.
        """
        asks = [
            Ask(request(item, self.model.model, self.sampling, self.folders), item, item.question.question_id)
            for item in asked
        ]
        done = self._done()
        before = sum(ask.key in done for ask in asks)
        if before == len(asks):
            return

        def record(pairs: Sequence[tuple[Ask[Asked], Response]]) -> None:
            self.run.answers.append(_answer(ask, response, self.name, self.purpose) for ask, response in pairs)

        if self._engine is None:
            self._engine = self._open.enter_context(engines.create(self.model))
        with self.display.step(f"{self.purpose}, {self.name}", len(asks), before) as advance:
            ask_missing(asks, done, self._engine, record, advance, Meter(self.run, self.purpose, self.name))

    def _done(self) -> set[tuple[str, str]]:
        """Request key and question of every answer this solver has given for this purpose."""
        known = self.run.answers.scan().filter(pl.col("solver") == self.name, pl.col("purpose") == self.purpose)
        return set(known.select("request_key", "question_id").collect().iter_rows())


def request(item: Asked, model: str, sampling: Sampling, folders: Mapping[str, Path]) -> Request:
    """What the engine is asked; `folders` as in `Solver`."""
    question = item.question
    shown = Picture(question.image_id, question.image_path) if item.arm is Arm.IMAGE else item.shown
    images = ((shown.image_id, str(folders[question.stage] / shown.path)),) if shown else ()
    turns = messages(question, item.arm, item.order)
    return Request.make(model, turns, sampling, images=images, rollout=item.rollout)


def _answer(ask: Ask[Asked], response: Response, solver: str, purpose: Purpose) -> Answer:
    item = ask.owner
    outcome, answer, detail = graded(item.question, response, item.order)
    return Answer(
        request_key=response.key,
        question_id=item.question.question_id,
        solver=solver,
        purpose=purpose,
        arm=item.arm,
        rollout=item.rollout,
        text=response.text,
        answer=answer,
        outcome=outcome,
        finish=response.finish,
        tokens_in=response.tokens_in,
        tokens_out=response.tokens_out,
        prompt_digest=prompts.digest("caption_arm" if item.arm is Arm.CAPTION else "system"),
        detail=detail,
        order=item.order,
    )


def graded(question: Question, response: Response, order: int = 0) -> tuple[Outcome, str, str]:
    """Outcome, answer (in the letters of the question as it is written) and detail of a reply."""
    if response.finish == "error":
        return Outcome.FAILED, "", response.error
    if response.finish == "length":
        # A reply cut off before its answer says nothing about what the model sees.
        return Outcome.UNPARSED, "", "cut off at max_tokens"
    _, options, gold = rotated(question, order)
    grade = answers.grade(response.text, gold, options or None)
    return grade.outcome, written(grade.answer, order if options else 0), grade.detail
