"""What a reviewer is asked about a question, the same on every way to them, and which version of it was asked.

An answer counts only for what its reviewer was shown, so the version is a digest of exactly that.
"""

from dataclasses import dataclass
from enum import StrEnum

from capcurriculum.prompts import SKILLS
from capcurriculum.rows import LETTERS, SCHEMA, Question, digest

#: Raise it when the questions below come to mean something else.
FORM = 1
#: The choice of a reviewer who finds that no option is right.
NONE = "none"
KINDS = (*SKILLS, "reasoning", "knowledge", "other")
QUALITIES = (1, 2, 3, 4, 5)
MAX_COMMENT = 4_000
MAX_CHOICE = 400


class Right(StrEnum):
    """Whether the marked answer is right."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot_tell"


class State(StrEnum):
    """Whether a review stands."""

    SUBMITTED = "submitted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Said:
    """The answers of one reviewer about one question; "" and 0 where none was given."""

    right: str
    choice: str = ""
    kind: str = ""
    quality: int = 0
    comment: str = ""


def version(question: Question) -> str:
    """The version of a question as reviewers are shown it."""
    shown = (question.problem, question.options, question.answer, question.caption, question.image_id)
    return digest(SCHEMA, "review form", FORM, *shown)


def letters(question: Question) -> tuple[str, ...]:
    """The letters of the question's options."""
    return LETTERS[: len(question.options)]


def problem(said: Said, question: Question) -> str:
    """What is wrong with answers from outside, "" if nothing is."""
    if said.right not in tuple(Right):
        return f"the marked answer is {said.right[:40]!r}, which is none of {', '.join(Right)}"
    if question.options and said.choice not in ("", NONE, *letters(question)):
        return f"the right option is {said.choice[:40]!r}, and the question has {', '.join(letters(question))}"
    if said.kind not in ("", *KINDS):
        return f"the kind is {said.kind[:40]!r}, which is none of {', '.join(KINDS)}"
    if said.quality not in (0, *QUALITIES):
        return f"the quality is {said.quality!r}, which is not 1 to 5"
    if len(said.comment) > MAX_COMMENT or len(said.choice) > MAX_CHOICE:
        return f"a text has more than {MAX_COMMENT} characters, or an answer more than {MAX_CHOICE}"
    return ""
