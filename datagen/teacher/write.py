"""Captions -> questions, in rounds: every caption is asked once before any refused reply is asked again.

All replies are kept as attempts, so the rounds, the questions and the verdicts can be derived from the table alone, and
a killed build continues in the middle of a round.
"""

import random
from collections.abc import Iterator, Sequence

from capcurriculum import prompts
from capcurriculum.errors import ParseError
from capcurriculum.progress import Display
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe, TeacherSection
from capcurriculum.rows import (
    LETTERS,
    SCHEMA,
    Attempt,
    CaptionedImage,
    Message,
    Question,
    Request,
    Response,
    Stage,
    Verdict,
    digest,
)
from capcurriculum.run import Run
from datagen import engines
from datagen.asking import Ask, ask_missing
from datagen.teacher import mcq

FILTER = "teacher"
PROMPT = "teacher_caption"


def write_questions(run: Run, recipe: Recipe, display: Display) -> None:
    """Ask the teacher until every caption has a usable question or its tries are used up, then derive both tables.

    Raises:
        EngineError: the teacher cannot be used.
    """
    assert recipe.perception is not None
    teacher = recipe.perception.teacher
    captions = sorted(run.captions.rows(), key=lambda row: row.caption_id)
    if _unfinished(run, captions, teacher.tries):
        with engines.create(recipe.models[teacher.model]) as engine:
            for attempt in range(1, teacher.tries + 1):
                _round(run, recipe, teacher, captions, attempt, engine, display)
    _derive(run, captions)


def _unfinished(run: Run, captions: Sequence[CaptionedImage], tries: int) -> bool:
    attempts = list(run.attempts.rows())
    ended = {a.caption_id for a in attempts if not a.problem or a.attempt == tries}
    return any(caption.caption_id not in ended for caption in captions)


def _round(
    run: Run,
    recipe: Recipe,
    teacher: TeacherSection,
    captions: Sequence[CaptionedImage],
    attempt: int,
    engine: engines.Engine,
    display: Display,
) -> None:
    attempts = list(run.attempts.rows())
    problems = {a.caption_id: a.problem for a in attempts if a.attempt == attempt - 1}
    wanted = [c for c in captions if attempt == 1 or problems.get(c.caption_id)]
    asks = [_ask(recipe, teacher, c, attempt, problems.get(c.caption_id, "")) for c in wanted]
    done = {(a.request_key, a.caption_id) for a in attempts}

    def record(pairs: Sequence[tuple[Ask[CaptionedImage], Response]]) -> None:
        model = recipe.models[teacher.model].model
        run.attempts.append(
            _attempt(ask, response, attempt, _skill(recipe, ask.owner), model) for ask, response in pairs
        )

    name = "teacher" if attempt == 1 else f"teacher, try {attempt}"
    if asks:
        with display.step(name, len(asks), sum(ask.key in done for ask in asks)) as advance:
            ask_missing(asks, done, engine, record, advance)


def _ask(
    recipe: Recipe, teacher: TeacherSection, caption: CaptionedImage, attempt: int, problem: str
) -> Ask[CaptionedImage]:
    text = prompts.teacher_caption(caption.caption, _skill(recipe, caption), problem=problem)
    section = teacher.sampling
    if attempt > 1:
        # Greedy would repeat what was refused.
        section = section.model_copy(update={"temperature": max(section.temperature, teacher.retry_temperature)})
    request = Request.make(
        recipe.models[teacher.model].model,
        (Message("user", text),),
        section.record(),
        rollout=attempt - 1,
        schema=mcq.JSON_SCHEMA,
    )
    return Ask(request, caption, caption.caption_id)


def _skill(recipe: Recipe, caption: CaptionedImage) -> str:
    """The skill to ask about, drawn by the recipe's weights and the caption's own content."""
    assert recipe.perception is not None
    skills = recipe.perception.teacher.skills
    seeded = random.Random(digest(SCHEMA, "skill", recipe.seed, caption.caption_id))  # noqa: S311
    return seeded.choices(list(skills), weights=list(skills.values()))[0]


def _attempt(ask: Ask[CaptionedImage], response: Response, attempt: int, skill: str, model: str) -> Attempt:
    problem = ""
    if response.finish == "error":
        problem = f"the engine refused it ({response.error})"
    else:
        try:
            mcq.parse(response.text, response.finish)
        except ParseError as error:
            problem = str(error)
    return Attempt(
        request_key=response.key,
        caption_id=ask.owner_id,
        attempt=attempt,
        skill=skill,
        text=response.text,
        problem=problem,
        finish=response.finish,
        tokens_in=response.tokens_in,
        tokens_out=response.tokens_out,
        model=model,
        prompt_digest=prompts.digest(PROMPT),
    )


def _derive(run: Run, captions: Sequence[CaptionedImage]) -> None:
    """Questions and verdicts that the attempts imply and the tables do not hold yet."""
    usable = {a.caption_id: a for a in run.attempts.rows() if not a.problem}
    known = run.questions.keys("question_id")
    questions = (_question(c, usable[c.caption_id]) for c in captions if c.caption_id in usable)
    run.questions.append(q for q in questions if q.question_id not in known)
    judged = {v.question_id for v in run.verdicts.rows() if v.filter == FILTER}
    run.verdicts.append(v for v in _verdicts(run, captions) if v.question_id not in judged)


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
        model=attempt.model,
        prompt_digest=attempt.prompt_digest,
        attempt=attempt.attempt,
    )


def _verdicts(run: Run, captions: Sequence[CaptionedImage]) -> Iterator[Verdict]:
    attempts: dict[str, list[Attempt]] = {}
    for attempt in run.attempts.rows():
        attempts.setdefault(attempt.caption_id, []).append(attempt)
    for caption in captions:
        tried = sorted(attempts.get(caption.caption_id, []), key=lambda a: a.attempt)
        if not tried:
            continue
        evidence = tuple(a.request_key for a in tried)
        last = tried[-1]
        keep = not last.problem
        reason = Reason.KEPT if keep else Reason.NO_VALID_QUESTION
        yield Verdict(caption.caption_id, Stage.PERCEPTION, FILTER, keep, reason, last.problem, evidence)
