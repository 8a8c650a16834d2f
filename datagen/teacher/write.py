"""Captions -> questions, in rounds: every caption is asked once before any refused reply is asked again.

All replies are kept as attempts, so the rounds, the questions and the verdicts can be derived from the table alone, and
a killed build continues in the middle of a round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from capcurriculum import prompts
from capcurriculum.errors import ParseError
from capcurriculum.progress import Display
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe, TeacherSection
from capcurriculum.rows import (
    LETTERS,
    Attempt,
    CaptionedImage,
    Message,
    Question,
    Request,
    Response,
    Sampling,
    Stage,
    Verdict,
)
from capcurriculum.run import Run
from datagen import engines
from datagen.accounting import Meter
from datagen.asking import Ask, ask_missing
from datagen.teacher import mcq, tasks
from datagen.teacher.tasks import Task

FILTER = "teacher"
PROMPTS: Mapping[str, str] = {"caption": "teacher_caption", "image_and_caption": "teacher_image"}


def write_questions(run: Run, recipe: Recipe, folders: Mapping[str, Path], display: Display) -> None:
    """Ask the teacher until every caption has its questions or its tries are used up, then derive both tables.

    `folders` maps a stage to the folder its image paths are relative to.

    Raises:
        EngineError: the teacher cannot be used.
    """
    assert recipe.perception is not None
    teacher = recipe.perception.teacher
    captions = sorted(run.captions.rows(), key=lambda row: row.caption_id)
    if not tasks.finished(captions, tasks.by_caption(run.attempts.rows()), teacher):
        with engines.create(recipe.models[teacher.model]) as engine:
            for slot in range(teacher.questions):
                for attempt in range(1, teacher.tries + 1):
                    todo = tasks.wanted(
                        captions, tasks.by_caption(run.attempts.rows()), teacher, recipe.seed, slot, attempt
                    )
                    _round(run, recipe, todo, folders[Stage.PERCEPTION], engine, display)
    _derive(run, captions, teacher)


def _round(
    run: Run, recipe: Recipe, todo: Sequence[Task], folder: Path, engine: engines.Engine, display: Display
) -> None:
    if not todo:
        return
    assert recipe.perception is not None
    teacher, model = recipe.perception.teacher, recipe.models[recipe.perception.teacher.model].model
    asks = [Ask(request(teacher, model, task, folder), task, task.caption.caption_id) for task in todo]
    done = {(a.request_key, a.caption_id) for a in run.attempts.rows()}

    def record(pairs: Sequence[tuple[Ask[Task], Response]]) -> None:
        run.attempts.append(_attempt(ask, response, PROMPTS[teacher.sees]) for ask, response in pairs)

    with display.step(_label(todo[0]), len(asks), sum(ask.key in done for ask in asks)) as advance:
        ask_missing(asks, done, engine, record, advance, Meter(run, "teacher", teacher.model))


def _label(task: Task) -> str:
    parts = ["teacher"]
    if task.slot:
        parts.append(f"question {task.slot + 1}")
    if task.attempt > 1:
        parts.append(f"try {task.attempt}")
    return ", ".join(parts)


def request(teacher: TeacherSection, model: str, task: Task, folder: Path) -> Request:
    """What the engine is asked for one try; `folder` is where the captions' image paths begin."""
    seeing = teacher.sees == "image_and_caption"
    text = prompts.teacher(PROMPTS[teacher.sees], task.caption.caption, task.skill, task.asked, task.problem)
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


def _attempt(ask: Ask[Task], response: Response, prompt: str) -> Attempt:
    task = ask.owner
    return Attempt(
        request_key=response.key,
        caption_id=ask.owner_id,
        attempt=task.attempt,
        skill=task.skill,
        text=response.text,
        problem=_problem(response, task.asked),
        finish=response.finish,
        tokens_in=response.tokens_in,
        tokens_out=response.tokens_out,
        model=ask.request.model,
        prompt_digest=prompts.digest(prompt),
        slot=task.slot,
        sampling=ask.request.sampling.json(),
    )


def _problem(response: Response, asked: Sequence[str]) -> str:
    """Why a reply cannot be used, in words that can go back to the teacher; empty if it can."""
    if response.finish == "error":
        return f"the engine refused it ({response.error})"
    try:
        question = mcq.parse(response.text, response.finish).question
    except ParseError as error:
        return str(error)
    repeated = {_plain(question)} & {_plain(old) for old in asked}
    return "the question was asked before" if repeated else ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _derive(run: Run, captions: Sequence[CaptionedImage], teacher: TeacherSection) -> None:
    """Questions and verdicts that the attempts imply and the tables do not hold yet."""
    attempts = tasks.by_caption(run.attempts.rows())
    known = run.questions.keys("question_id")
    # By id, as two captions of one image may lead to the same question.
    made = {q.question_id: q for c in captions for a in attempts.get(c.caption_id, ()) if (q := _usable(c, a))}
    run.questions.append(question for key, question in made.items() if key not in known)
    judged = {v.question_id for v in run.verdicts.rows() if v.filter == FILTER}
    verdicts = (_verdict(c, attempts[c.caption_id], teacher) for c in captions if c.caption_id in attempts)
    run.verdicts.append(v for v in verdicts if v.question_id not in judged)


def _usable(caption: CaptionedImage, attempt: Attempt) -> Question | None:
    return None if attempt.problem else _question(caption, attempt)


def _question(caption: CaptionedImage, attempt: Attempt) -> Question:
    choice = mcq.permuted(mcq.parse(attempt.text, attempt.finish), caption.caption_id)
    problem = prompts.choice(choice.question, dict(zip(LETTERS, choice.options, strict=True)))
    return Question(
        question_id=Question.key(Stage.PERCEPTION, caption.image_id, problem, choice.answer),
        stage=Stage.PERCEPTION,
        problem=problem,
        answer=choice.answer,
        options=choice.options,
        skill=attempt.skill,
        image_id=caption.image_id,
        image_path=caption.image_path,
        caption=caption.caption,
        caption_id=caption.caption_id,
        source=caption.source,
        license=caption.license,
        text=choice.question,
        model=attempt.model,
        prompt_digest=attempt.prompt_digest,
        attempt=attempt.attempt,
        slot=attempt.slot,
        sampling=attempt.sampling,
        tokens_in=attempt.tokens_in,
        tokens_out=attempt.tokens_out,
    )


def _verdict(caption: CaptionedImage, tried: Sequence[Attempt], teacher: TeacherSection) -> Verdict:
    """A caption is kept if it gave a question at all; the detail says what became of the others."""
    lost = [_lost(tried, slot, teacher) for slot in range(teacher.questions)]
    keep = any(not a.problem for a in tried)
    reason = Reason.KEPT if keep else Reason.NO_VALID_QUESTION
    detail = "; ".join(text for text in lost if text)
    return Verdict(
        caption.caption_id, Stage.PERCEPTION, FILTER, keep, reason, detail, tuple(a.request_key for a in tried)
    )


def _lost(tried: Sequence[Attempt], slot: int, teacher: TeacherSection) -> str:
    own = [a for a in tried if a.slot == slot]
    if any(not a.problem for a in own):
        return ""
    last = own[-1].problem if own else "it was never asked"
    return f"question {slot + 1}: {last}" if teacher.questions > 1 else last
