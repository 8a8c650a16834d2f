"""The reviewers' form, shared by the page and by Argilla, and the version of a question that it shows.

A review counts only for the version that its reviewer saw, which is a digest of the shown content.
"""

from dataclasses import dataclass
from enum import StrEnum

from capcurriculum.prompts import SKILLS
from capcurriculum.rows import LETTERS, SCHEMA, Question, digest

#: To be raised when the meaning of a question below changes.
FORM = 1
#: The choice if no option is right.
NONE = "none"
KINDS = (*SKILLS, "reasoning", "knowledge", "other")
QUALITIES = (1, 2, 3, 4, 5)
MAX_COMMENT = 4_000
MAX_CHOICE = 400


class Right(StrEnum):
    """Answers to whether the marked answer is right."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot_tell"


class State(StrEnum):
    """The state of a review."""

    SUBMITTED = "submitted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class FormAnswers:
    """One reviewer's answers about one question; "" and 0 for missing ones."""

    right: str
    choice: str = ""
    kind: str = ""
    quality: int = 0
    comment: str = ""


def version(question: Question) -> str:
    """A digest of the question as reviewers see it."""
    shown = (question.problem, question.options, question.answer, question.caption, question.image_id)
    return digest(SCHEMA, "review form", FORM, *shown)


def letters(question: Question) -> tuple[str, ...]:
    """The letters of the question's options."""
    return LETTERS[: len(question.options)]


def problem(given: FormAnswers, question: Question) -> str:
    """The first fault of untrusted answers, "" for none."""
    if given.right not in tuple(Right):
        return f"the marked answer is {given.right[:40]!r}, which is none of {', '.join(Right)}"
    if question.options and given.choice not in ("", NONE, *letters(question)):
        return f"the right option is {given.choice[:40]!r}, and the question has {', '.join(letters(question))}"
    if given.kind not in ("", *KINDS):
        return f"the kind is {given.kind[:40]!r}, which is none of {', '.join(KINDS)}"
    if given.quality not in (0, *QUALITIES):
        return f"the quality is {given.quality!r}, which is not 1 to 5"
    if len(given.comment) > MAX_COMMENT or len(given.choice) > MAX_CHOICE:
        return f"a text has more than {MAX_COMMENT} characters, or an answer more than {MAX_CHOICE}"
    return ""
