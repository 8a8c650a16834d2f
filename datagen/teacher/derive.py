"""Derives questions, and a verdict on every caption, from the table of the teacher's attempts."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from capcurriculum import prompts
from capcurriculum.grading.kinds import Kind
from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import TeacherSection
from capcurriculum.rows import LETTERS, Attempt, CaptionedImage, Question, Verdict
from capcurriculum.run import Run
from datagen.teacher import mcq

FILTER = "teacher"


def derive(
    run: Run, captions: Sequence[CaptionedImage], attempts: Mapping[str, Sequence[Attempt]], teacher: TeacherSection
) -> None:
    """Questions and verdicts that the attempts imply and the tables do not hold yet."""
    judged = run.verdicts.keys("question_id", pl.col("filter") == FILTER)
    fresh = [c for c in captions if c.caption_id in attempts and c.caption_id not in judged]
    known = run.questions.keys("question_id") if fresh else set()
    # By id, as two captions of one image may lead to the same question.
    made = {q.question_id: q for c in fresh for q in questions(c, attempts[c.caption_id])}
    run.questions.append(question for key, question in made.items() if key not in known)
    run.verdicts.append(_verdict(c, _in_order(attempts[c.caption_id]), teacher) for c in fresh)


def questions(caption: CaptionedImage, attempts: Iterable[Attempt]) -> list[Question]:
    """The questions that a caption's attempts gave, in the order of its slots."""
    return [_question(caption, attempt) for attempt in _in_order(attempts) if not attempt.problem]


def _in_order(attempts: Iterable[Attempt]) -> list[Attempt]:
    return sorted(attempts, key=lambda a: (a.slot, a.attempt))


def _question(caption: CaptionedImage, attempt: Attempt) -> Question:
    choice = mcq.permuted(mcq.parse(attempt.text, attempt.finish), caption.caption_id)
    problem = prompts.choice(choice.question, dict(zip(LETTERS, choice.options, strict=True)))
    return Question(
        question_id=Question.key(caption.stage, caption.image_id, problem, choice.answer),
        stage=caption.stage,
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
        kind=Kind.CHOICE,
    )


def _verdict(caption: CaptionedImage, tried: Sequence[Attempt], teacher: TeacherSection) -> Verdict:
    """A caption is kept if it gave a question at all; the detail says what became of the others."""
    keep = any(not a.problem for a in tried)
    reason = Reason.KEPT if keep else Reason.NO_VALID_QUESTION
    detail = "; ".join(filter(None, (_lost(tried, slot, teacher) for slot in range(teacher.questions))))
    return Verdict(caption.caption_id, caption.stage, FILTER, keep, reason, detail, tuple(a.request_key for a in tried))


def _lost(tried: Sequence[Attempt], slot: int, teacher: TeacherSection) -> str:
    own = [a for a in tried if a.slot == slot]
    if any(not a.problem for a in own):
        return ""
    last = own[-1].problem if own else "it was never asked"
    return f"question {slot + 1}: {last}" if teacher.questions > 1 else last
