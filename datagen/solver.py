"""Ask solvers and grade their replies: how probes and rollouts become `answers` rows.

The system turn is the unified prompt, the user turn is the problem as training will show it, and the grade is
`capcurriculum.answers.grade`, the function the reward calls, so a pass rate means what the reward will mean.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Self

import polars as pl

from capcurriculum import answers, prompts
from capcurriculum.prompts import own
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Answer, Arm, Message, Outcome, Purpose, Question, Request, Response, Sampling
from capcurriculum.tables import Table
from datagen import engines
from datagen.asking.ask_missing import Line, ask_missing
from datagen.asking.meter import Meter
from datagen.asking.outcomes import Heard, look
from datagen.asking.ready_queue import ReadyQueue
from datagen.engines.protocol import Engine
from datagen.option_rotation import rotated, written
from datagen.setting import Setting

#: Arm, rollout, and how far the options were rotated.
Variant = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file by its digest and its path below its source's folder."""

    image_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to ask: a question on one arm, for the `rollout`-th time, its options rotated by `order`.

    `shown` is the image of the swapped arm.
    """

    question: Question
    arm: Arm
    rollout: int = 0
    order: int = 0
    shown: ImageFile | None = None

    @property
    def variant(self) -> Variant:
        """What distinguishes it from the question's other answers: arm, rollout, rotation."""
        return self.arm, self.rollout, self.order


def messages(question: Question, arm: Arm, order: int = 0, template: str = "") -> tuple[Message, ...]:
    """The chat turns of a question on an arm; a `template` is filled with them in place of ours."""
    system = Message("system", prompts.system())
    problem, _, _ = rotated(question, order)
    if template:
        text = own.render(template, problem=problem, caption=question.caption if arm is Arm.CAPTION else "")
        return system, Message("user", text, images=int(arm in (Arm.IMAGE, Arm.SWAPPED)))
    match arm:
        case Arm.IMAGE | Arm.SWAPPED:
            return system, Message("user", problem, images=1)
        case Arm.BOTH:
            return system, Message("user", prompts.both_arm(question.caption, problem), images=1)
        case Arm.CAPTION | Arm.DESCRIPTION:
            return system, Message("user", prompts.caption_arm(question.caption, problem))
        case Arm.BLIND | Arm.TEXT:
            return system, Message("user", problem)


#: The template that an arm's prompt is known by; the others show the problem as it is.
_TEMPLATES = {Arm.CAPTION: "caption_arm", Arm.BOTH: "both_arm"}


def home_arm(question: Question) -> Arm:
    """How training will show the question: with its image if it has one."""
    return Arm.IMAGE if question.image_path else Arm.TEXT


class Solver:
    """One model under one name, asked for one purpose; its engine is started when there is something to ask.

    An `engine` that is given is used and left open; otherwise one is started and closed here.
    """

    def __init__(
        self,
        at: Setting,
        name: str,
        model: ModelSection,
        sampling: Sampling,
        purpose: Purpose,
        engine: Engine | None = None,
    ) -> None:
        self.at, self.name, self.model, self.sampling, self.purpose = at, name, model, sampling, purpose
        self._open = ExitStack()
        self._engine = engine
        self._hear: Callable[[Asked], None] | None = None
        #: Called with every reply, as soon as it is graded.
        self.on_answer: Callable[[Answer], None] | None = None
        self.heard = Heard(purpose, f"{name} ({model.model})", look(at.run, "answers"))
        #: Question id -> variant -> outcome of its answers by this solver, of the questions in hand.
        self.known: defaultdict[str, dict[Variant, str]] = defaultdict(dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def remember(self, questions: Sequence[Question]) -> None:
        """Read what these questions were answered before into `known`.

        Which model, sampling and prompt it was is not looked at: a run refuses to go on when one of them changes.
        """
        ids = {q.question_id for q in questions} - self.known.keys()
        self.known |= self.recorded(pl.col("question_id").is_in(list(ids)))

    def recorded(self, *predicates: pl.Expr) -> dict[str, dict[Variant, str]]:
        """As `known`, read afresh from the run's table, for the answers for which every predicate holds."""
        mine = self._mine().filter(*predicates).select("question_id", "arm", "rollout", "order", "outcome")
        found: defaultdict[str, dict[Variant, str]] = defaultdict(dict)
        variants: dict[Variant, Variant] = {}  # one object each: there are few, and answers are many
        for frame in mine.collect_batches():
            for question, arm, rollout, order, outcome in frame.iter_rows():
                variant = variants.setdefault((arm, rollout, order), (arm, rollout, order))
                found[question][variant] = intern(outcome)
        return found

    def _mine(self) -> pl.LazyFrame:
        return self.at.run.answers.scan().filter(pl.col("solver") == self.name, pl.col("purpose") == self.purpose)

    def _counts(self, rollouts: Iterable[int]) -> dict[str, int]:
        """Question id -> how many different answers it has, over these rollouts."""
        variant = pl.struct("arm", "rollout", "order")
        found = self._mine().filter(pl.col("rollout").is_in(list(rollouts)))
        return dict(found.group_by("question_id").agg(variant.n_unique()).collect().iter_rows())

    def complete(self, rollouts: range) -> set[str]:
        """Ids of the questions that have an answer of each of these rollouts, found by counting."""
        return {question for question, count in self._counts(rollouts).items() if count >= len(rollouts)}

    def engine(self) -> Engine:
        """The engine, started.

        Raises:
            EngineError: it cannot be loaded or reached.
        """
        if self._engine is None:
            self._engine = self._open.enter_context(engines.create(self.model))
        return self._engine

    def use(self, engine: Engine) -> None:
        """Use this engine, which the caller closes."""
        self._engine = engine

    def ask_all(
        self, questions: Sequence[Question], asked: Callable[[Question], Iterable[Asked]], part: str = ""
    ) -> None:
        """Append an answer for everything `asked` names of every question that the run has none for.

        It names as many things of each question, and of the same rollouts.

        Raises:
            EngineError: the model cannot be used.
        """
        first = list(asked(questions[0])) if questions else []
        counts = self._counts({item.rollout for item in first})
        lacking = [q for q in questions if counts.get(q.question_id, 0) < len(first)]
        if not lacking:
            return
        # What is finished need not be looked at, unless windows are cut from the whole list.
        chosen = questions if self.engine().window else lacking
        self.remember(chosen)
        total, before = len(first) * len(questions), sum(counts.get(q.question_id, 0) for q in questions)
        line = Line(self.at.display, f"{self.purpose}, {self.name}{part}", total, before)
        self._ask((item for question in chosen for item in asked(question)), line)

    def ask_in_turns(self, turns: ReadyQueue[Asked], total: int) -> None:
        """Append the answers that the queue of `total` questions yields.

        Raises:
            EngineError: the model cannot be used.
        """
        self._hear = turns.heard
        line = Line(self.at.display, f"{self.purpose}, {self.name}", total, finished=turns.newly_finished)
        self._ask(turns, line)

    def ask_each(self, items: Sequence[Asked], part: str = "") -> None:
        """Append the answers of these that the run has none for; raises as `ask_all`."""
        self.remember([item.question for item in items])
        line = Line(self.at.display, f"{self.purpose}, {self.name}{part}", len(items), sum(map(self.done, items)))
        self._ask(items, line)

    def _ask(self, items: Iterable[Asked | None], line: Line) -> None:
        engine = self.engine()
        ask_missing(items, self, engine, Meter(self.at.run, self.purpose, self.name, engine.traffic), line)

    def done(self, item: Asked) -> bool:
        """Whether the run holds the answer."""
        return item.variant in self.known.get(item.question.question_id, ())

    def request(self, item: Asked) -> Request:
        """The request for the answer; a reply of the probe that is asked for again has twice the room."""
        sampling = self.sampling
        if item.rollout and self.purpose is Purpose.PROBE:
            sampling = replace(sampling, max_tokens=sampling.max_tokens * 2**item.rollout)
        return request(item, self.model.model, sampling, self.at.folders, self._own_prompt(item))

    def _own_prompt(self, item: Asked) -> str:
        """The recipe's own template for this arm of the probe; "" where it has none."""
        section = self.at.recipe.captioned.get(item.question.stage)
        if self.purpose is not Purpose.PROBE or section is None:
            return ""
        return next((text for arm, text in section.probe.prompts.items() if arm == item.arm), "")

    def row(self, item: Asked, response: Response) -> Answer:
        """The graded answer."""
        answer = self.graded(item, response)
        self.known[answer.question_id][item.variant] = answer.outcome
        if self.on_answer:
            self.on_answer(answer)
        if self._hear:
            self._hear(item)
        return answer

    def graded(self, item: Asked, response: Response) -> Answer:
        """The reply as a row."""
        found = graded(item.question, response, item.order)
        template = self._own_prompt(item)
        digest = own.digest(template) if template else prompts.digest(_TEMPLATES.get(item.arm, "system"))
        return answer_row(item, response, self.name, self.purpose, found, digest)

    @property
    def table(self) -> Table[Answer]:
        """Where the rows go."""
        return self.at.run.answers


def request(item: Asked, model: str, sampling: Sampling, folders: Mapping[str, Path], template: str = "") -> Request:
    """What the engine is asked; `folders` as in `Setting`, `template` is the recipe's own for the arm."""
    turns = messages(item.question, item.arm, item.order, template)
    return Request.make(model, turns, sampling, images=images(item, folders), rollout=item.rollout)


def images(item: Asked, folders: Mapping[str, Path]) -> tuple[tuple[str, str], ...]:
    """Digest and path of the image that is shown, if one is."""
    question = item.question
    own = ImageFile(question.image_id, question.image_path) if item.arm in (Arm.IMAGE, Arm.BOTH) else None
    shown = own or item.shown
    return ((shown.image_id, str(folders[question.stage] / shown.path)),) if shown else ()


def answer_row(
    item: Asked, response: Response, solver: str, purpose: Purpose, found: tuple[Outcome, str, str], prompt: str
) -> Answer:
    """A reply with what was `found` in it, as `graded` gives that, and the digest of the prompt that it answers."""
    outcome, answer, detail = found
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
        prompt_digest=prompt,
        detail=detail,
        order=item.order,
    )


def graded(
    question: Question, response: Response, order: int = 0, further: tuple[str, ...] = ()
) -> tuple[Outcome, str, str]:
    """Outcome, answer (in the letters of the question as it is written) and detail of a reply.

    `further` are options that it was offered behind the question's own, in no rotation.
    """
    if response.finish == "error":
        return Outcome.FAILED, "", response.error
    if response.unread:
        # A reply cut off before its answer says nothing about what the model sees.
        return Outcome.UNPARSED, "", response.unread
    _, options, gold = rotated(question, order)
    grade = answers.grade(response.text, gold, (*options, *further) or None, question.kind or None)
    return grade.outcome, written(grade.answer, order if options else 0), grade.detail
