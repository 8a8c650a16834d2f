"""What a teacher is asked next, derived from its attempts alone, so that a killed build resumes.

An image gets `questions` slots, filled one after the other, so that a slot's prompt can show the questions of those
before it. A slot ends with a usable reply or with its last try.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from capcurriculum.recipe.stages import TeacherSection
from capcurriculum.rows import SCHEMA, Attempt, CaptionedImage, digest
from datagen.teacher import mcq


@dataclass(frozen=True, slots=True)
class Task:
    """One try: the caption, which of its questions, what about, what not to ask again, and why the last was refused."""

    caption: CaptionedImage
    slot: int
    attempt: int
    skill: str
    asked: tuple[str, ...] = ()
    problem: str = ""


def by_caption(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """Attempts of each caption, in the order of slots and tries."""
    found: dict[str, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda a: (a.caption_id, a.slot, a.attempt)):
        found.setdefault(attempt.caption_id, []).append(attempt)
    return found


def skills(teacher: TeacherSection, seed: int, caption_id: str) -> list[str]:
    """A skill a slot, drawn by the recipe's weights and the caption's own content; none twice while others are left."""
    draw = random.Random(digest(SCHEMA, "skill", seed, caption_id))  # noqa: S311 - reproducible, not secret
    left: dict[str, int] = {}
    drawn: list[str] = []
    for _ in range(teacher.questions):
        left = left or teacher.weights
        skill = draw.choices(list(left), weights=list(left.values()))[0]
        del left[skill]
        drawn.append(skill)
    return drawn


def ended(attempts: Sequence[Attempt], slot: int, tries: int) -> bool:
    """Whether the slot has a usable reply or no try left."""
    return any(a.slot == slot and (not a.problem or a.attempt == tries) for a in attempts)


def finished(captions: Iterable[CaptionedImage], attempts: Mapping[str, Sequence[Attempt]], t: TeacherSection) -> bool:
    """Whether every slot of every caption has ended."""
    return all(ended(attempts.get(c.caption_id, ()), slot, t.tries) for c in captions for slot in range(t.questions))


def following(caption: CaptionedImage, attempts: Sequence[Attempt], teacher: TeacherSection, seed: int) -> Task | None:
    """The first try that is missing; None if every slot has ended."""
    for slot in range(teacher.questions):
        if not ended(attempts, slot, teacher.tries):
            return _task(caption, attempts, teacher, seed, slot, 1 + sum(a.slot == slot for a in attempts))
    return None


def wanted(
    captions: Iterable[CaptionedImage],
    attempts: Mapping[str, Sequence[Attempt]],
    teacher: TeacherSection,
    seed: int,
    slot: int,
    attempt: int,
) -> list[Task]:
    """Try `attempt` of `slot`: every caption at the first, and later those whose try before was refused.

    Tries that are recorded already are in the list as well; the caller passes over them.
    """
    tasks: list[Task] = []
    for caption in captions:
        own = attempts.get(caption.caption_id, ())
        if attempt == 1 or any(a.problem for a in own if a.slot == slot and a.attempt == attempt - 1):
            tasks.append(_task(caption, own, teacher, seed, slot, attempt))
    return tasks


def _task(
    caption: CaptionedImage, own: Sequence[Attempt], teacher: TeacherSection, seed: int, slot: int, attempt: int
) -> Task:
    problem = next((a.problem for a in own if a.slot == slot and a.attempt == attempt - 1), "")
    skill = skills(teacher, seed, caption.caption_id)[slot]
    # The questions that earlier slots ended with.
    asked = tuple(mcq.parse(a.text, a.finish).question for a in own if not a.problem and a.slot < slot)
    return Task(caption, slot, attempt, skill, asked, problem)
