"""Captions -> questions: each caption is asked, and asked again where its reply was refused.

All replies are kept as attempts, and what is asked next depends on a caption's own attempts alone, so the questions and
the verdicts can be derived from the table, and a killed build goes on anywhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from capcurriculum import prompts
from capcurriculum.errors import ParseError
from capcurriculum.prompts import own
from capcurriculum.recipe.stages import TeacherSection
from capcurriculum.rows import Attempt, CaptionedImage, Message, Request, Response, Sampling
from capcurriculum.tables import Table
from datagen import engines
from datagen.asking.ask_missing import Line, ask_missing
from datagen.asking.meter import Meter
from datagen.asking.outcomes import MORE_TOKENS, Heard, Reading, look, plainly
from datagen.asking.ready_queue import ReadyQueue
from datagen.engines.protocol import Engine
from datagen.setting import Setting
from datagen.teacher import mcq, tasks
from datagen.teacher.derive import derive
from datagen.teacher.tasks import Task

PROMPTS: Mapping[str, str] = {"caption": "teacher_caption", "image_and_caption": "teacher_image"}


def write_questions(at: Setting) -> None:
    """Ask each stage's teacher until every caption has its questions or its tries are used up, then derive both tables.

    Raises:
        EngineError: a teacher cannot be used.
    """
    for stage in at.recipe.captioned:
        _write(at, stage)


def _write(at: Setting, stage: str) -> None:
    captions = sorted(at.run.my_captions(stage), key=lambda row: row.caption_id)
    writing = Writing(at, stage)
    teacher = writing.teacher
    if not tasks.finished(captions, writing.attempts, teacher):
        with engines.create(at.recipe.models[teacher.model]) as engine:
            if engine.window:
                _in_rounds(captions, writing, engine)
            else:
                by_id = {caption.caption_id: caption for caption in captions}
                turns = ReadyQueue(
                    by_id, lambda key: writing.following(by_id[key]), lambda task: task.caption.caption_id
                )
                writing.ask_in_turns(turns, len(by_id), engine)
    derive(at.run, captions, writing.attempts, teacher)


class Writing:
    """The work of a stage's teacher on one run: which tries there are, what each asks, and what came of it.

    `attempts` are the run's, by caption, unless the caller knows better which of them matter.
    """

    def __init__(self, at: Setting, stage: str, attempts: dict[str, list[Attempt]] | None = None) -> None:
        self.at, self.folder, self.seed = at, at.folders[stage], at.recipe.seed
        self.teacher = at.recipe.captioned[stage].teacher
        self.model = at.recipe.models[self.teacher.model].model
        self.attempts = tasks.by_caption(at.run.attempts.rows()) if attempts is None else attempts
        self._hear: Callable[[Task], None] | None = None
        self.heard = Heard("teacher", f"{self.teacher.model} ({self.model})", look(at.run, "attempts"), self._reading)

    def following(self, caption: CaptionedImage) -> list[Task]:
        """The caption's next try; nothing if it has its questions or its tries are used up."""
        task = tasks.following(caption, self.attempts.get(caption.caption_id, ()), self.teacher, self.seed)
        return [task] if task else []

    def ask_in_turns(self, turns: ReadyQueue[Task], total: int, engine: Engine) -> None:
        """Append the attempts that the queue of `total` captions yields."""
        self._hear = turns.heard
        self._ask(turns, engine, Line(self.at.display, "teacher", total, finished=turns.newly_finished))

    def ask_round(self, todo: Sequence[Task], engine: Engine) -> None:
        """Append an attempt for every task that has none; all are of one slot and one try."""
        before = sum(map(self.done, todo))
        if before < len(todo):
            self._ask(todo, engine, Line(self.at.display, _label(todo[0]), len(todo), before))

    def _ask(self, items: Iterable[Task | None], engine: Engine, line: Line) -> None:
        ask_missing(items, self, engine, Meter(self.at.run, "teacher", self.teacher.model, engine.traffic), line)

    def _reading(self, item: Task, response: Response, row: Attempt) -> Reading:
        """The outcome of a reply; a refused one is asked for again with the reason, and counts if that did not help."""
        if not row.problem:
            return Reading()
        what: Literal["retried", "failed"] = "retried" if item.attempt < self.teacher.tries else "failed"
        plain = plainly(item, response, row)
        if plain.why:
            return replace(plain, what=what, about=item.caption.image_id)
        if plain.what == "cut_off":
            return Reading(row.problem, what, MORE_TOKENS, about=item.caption.image_id)
        counts = item.attempt > 1 or self.teacher.tries == 1
        mend = "name another teacher, or one whose engine keeps it to the JSON (`structured: true`)"
        return Reading(row.problem, what, mend, counts=counts, about=item.caption.image_id)

    def done(self, item: Task) -> bool:
        """Whether the run's table has this try."""
        own = self.attempts.get(item.caption.caption_id, ())
        return any(a.slot == item.slot and a.attempt == item.attempt for a in own)

    def request(self, item: Task) -> Request:
        """The request for the try."""
        return request(self.teacher, self.model, item, self.folder)

    def row(self, item: Task, response: Response) -> Attempt:
        """The try with what is wrong with it, if anything is."""
        attempt = _attempt(item, response, self.teacher, self.model)
        self.attempts.setdefault(attempt.caption_id, []).append(attempt)
        if self._hear:
            self._hear(item)
        return attempt

    @property
    def table(self) -> Table[Attempt]:
        """Where the rows go."""
        return self.at.run.attempts


def _in_rounds(captions: Sequence[CaptionedImage], writing: Writing, engine: Engine) -> None:
    """Every caption's first try, then every second one: an engine that batches must see the same windows again."""
    for slot in range(writing.teacher.questions):
        for attempt in range(1, writing.teacher.tries + 1):
            todo = tasks.wanted(captions, writing.attempts, writing.teacher, writing.seed, slot, attempt)
            writing.ask_round(todo, engine)


def _label(task: Task) -> str:
    question, attempt = f", question {task.slot + 1}" if task.slot else "", f", try {task.attempt}"
    return f"teacher{question}{attempt if task.attempt > 1 else ''}"


def request(teacher: TeacherSection, model: str, task: Task, folder: Path) -> Request:
    """What the engine is asked for one try; `folder` is where the captions' image paths begin."""
    seeing = teacher.sees == "image_and_caption"
    values = {"caption": task.caption.caption, "skill": teacher.words(task.skill), "asked": task.asked}
    values |= {"problem": task.problem}
    text = own.render(teacher.prompt, **values) if teacher.prompt else prompts.render(PROMPTS[teacher.sees], **values)
    image = (task.caption.image_id, str(folder / task.caption.image_path))
    return Request.make(
        model,
        (Message("user", text, images=int(seeing)),),
        _sampling(teacher, task.attempt),
        images=(image,) if seeing else (),
        # Another number a try, or the same prompt would be the same request.
        rollout=task.slot * teacher.tries + task.attempt - 1,
        schema=mcq.JSON_SCHEMA,
    )


def _sampling(teacher: TeacherSection, attempt: int) -> Sampling:
    sampling = teacher.sampling.record()
    if attempt == 1:
        return sampling
    # Greedy would repeat what was refused.
    return replace(sampling, temperature=max(sampling.temperature, teacher.retry_temperature))


def _attempt(task: Task, response: Response, teacher: TeacherSection, model: str) -> Attempt:
    return Attempt(
        request_key=response.key,
        caption_id=task.caption.caption_id,
        attempt=task.attempt,
        skill=task.skill,
        text=response.text,
        problem=_problem(response, task.asked),
        finish=response.finish,
        tokens_in=response.tokens_in,
        tokens_out=response.tokens_out,
        model=model,
        prompt_digest=own.digest(teacher.prompt) if teacher.prompt else prompts.digest(PROMPTS[teacher.sees]),
        slot=task.slot,
        sampling=_sampling(teacher, task.attempt).json(),
    )


def _problem(response: Response, asked: Sequence[str]) -> str:
    """Why a reply cannot be used, in words that can go back to the teacher; empty if it can."""
    if response.finish == "error":
        return f"the engine refused it ({response.error})"
    if response.error:
        return response.error
    try:
        question = mcq.parse(response.text, response.finish).question
    except ParseError as error:
        return str(error)
    repeated = {_plain(question)} & {_plain(old) for old in asked}
    return "the question was asked before" if repeated else ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
