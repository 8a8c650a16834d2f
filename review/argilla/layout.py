"""Fields, questions and metadata of an Argilla dataset as plain data, and the records of it.

Texts of the run are shown verbatim. Argilla renders even plain text fields as sanitized HTML, so they are escaped; the
folded field needs Markdown, so every punctuation mark in it is a character reference. Argilla's custom fields are not
used: they put whole records into a page of the server's origin, where a text could run as script.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

from capcurriculum.recipe.review import ReviewSection
from capcurriculum.rows import LETTERS, bytes_digest, digest
from filters.human import form
from filters.human.form import NONE, Right
from review.entries import Entry
from review.images import ReviewImage

IMAGE, QUESTION, ANSWERS, BEHIND = "image", "question", "answers", "behind"
RIGHT, CHOICE, ANSWER, KIND, QUALITY, COMMENT = "right", "choice", "answer", "kind", "quality", "comment"
_MOST_TERM = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record, of kind `image`, `text` or `markdown`."""

    name: str
    title: str
    kind: str = "text"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the reviewer, of kind `label`, `rating` or `text`; `labels` maps a value to its label."""

    name: str
    title: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A metadata property to filter records by; those that show what models answered are hidden from reviewers."""

    name: str
    title: str
    number: bool = False
    visible: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """The layout of a dataset."""

    fields: tuple[Field, ...]
    questions: tuple[Asked, ...]
    metadata: tuple[Property, ...]
    guidelines: str


METADATA = (
    Property("stage", "Stage", visible=True),
    Property("skill", "Skill asked for", visible=True),
    Property("source", "Source", visible=True),
    Property("reason", "Kept, or why dropped"),
    Property("stratum", "Stratum of the sample"),
    Property("pass_rate", "Pass rate", number=True),
    Property("question_id", "Question id", visible=True),
    Property("version", "Version shown"),
    Property("image_digest", "Digest of the original image"),
)


def dataset_layout(section: ReviewSection, options: bool, free: bool) -> Told:
    """The layout of a dataset whose questions have options, free answers, or both."""
    fields = (
        # The question stands above the image, which may fill the rest of the screen.
        Field(QUESTION, "Question"),
        Field(ANSWERS, "Answers, the marked one with an arrow" if options else "Marked answer"),
        Field(IMAGE, "Image", "image", required=False),
        Field(BEHIND, "After your first judgement", "markdown", required=False),
    )
    labels = {letter: letter for letter in LETTERS} | {NONE: "none of them"}
    choice = Asked(CHOICE, "If not, which option is right?", "label", labels)
    answer = Asked(ANSWER, "If not, what is the right answer?", "text", description="As short as the marked one.")
    questions = (
        Asked(RIGHT, "Is the marked answer right, and the only right one?", "label", _RIGHTS,
              "Judge from the image before you look at anything else.", required=True),
        *((choice,) if options else ()),
        *((answer,) if free else ()),
        Asked(KIND, "What does the question ask for?", "label", {k: k.replace("_", " ") for k in form.KINDS}),
        Asked(QUALITY, "How good is the question? (1 useless, 5 excellent)", "rating",
              {str(value): str(value) for value in form.QUALITIES}),
        Asked(COMMENT, "Comment", "text"),
    )  # fmt: skip
    guidelines = (files(__package__) / "guidelines.md").read_text(encoding="utf-8")
    caption = _HOW_CAPTION[section.caption]
    return Told(fields, questions, METADATA, guidelines.replace("{caption}", caption))


_RIGHTS: Mapping[str, str] = {Right.YES: "Yes", Right.NO: "No", Right.CANNOT_TELL: "Cannot tell"}
_HOW_CAPTION = {
    "hidden": "The caption is hidden under *After your first judgement*. Open it only then; change your answer if the "
    "caption made you see what is in the image.",
    "shown": "The caption is shown under *After your first judgement*. Look at the image first all the same.",
    "left_out": "You are not shown the caption.",
}


def external_id(question_id: str, version: str) -> str:
    """The record's external id of a version of a question."""
    return f"{question_id}-{version}"


def record(
    entry: Entry, section: ReviewSection, image: ReviewImage | None, question_ids: Mapping[str, str]
) -> dict[str, Any]:
    """One record as JSON of Argilla's API; `question_ids` maps the names of questions to their ids."""
    return {
        "external_id": external_id(entry.question.question_id, entry.version),
        "fields": fields_of(entry, section, image),
        "metadata": _metadata(entry),
        "suggestions": list(_suggestions(entry, question_ids)),
    }


def fields_of(entry: Entry, section: ReviewSection, image: ReviewImage | None) -> dict[str, str]:
    """Name -> content of the fields of a record; without an image there is no such field."""
    question = entry.question
    asked, options = question.text or question.problem, "\n".join(_answers(entry))
    found = {QUESTION: escape(plain(asked), quote=False), ANSWERS: escape(plain(options), quote=False)}
    if behind := _behind(entry, section):
        found[BEHIND] = behind
    return found | ({IMAGE: image.url} if image else {})


def shown(fields: Mapping[str, Any]) -> str:
    """A digest of a record's fields, to detect changes on the server."""
    return digest({name: bytes_digest(str(value).encode()) for name, value in fields.items() if value is not None})


def plain(text: str) -> str:
    """Text that databases accept: no control characters but line ends, no lone surrogates, never empty."""
    whole = text.replace("\r\n", "\n").replace("\t", "    ").encode("utf-8", "replace").decode()
    return _CONTROL.sub("\ufffd", whole) or " "


def _answers(entry: Entry) -> Iterator[str]:
    question = entry.question
    if not question.options:
        yield question.answer
    for letter, option in zip(LETTERS, question.options, strict=False):
        yield f"{'→' if letter == question.answer else ' '} {letter}: {' '.join(option.split())}"


def _behind(entry: Entry, section: ReviewSection) -> str:
    """Caption and models' answers, folded."""
    parts = []
    if section.caption != "left_out" and entry.question.caption:
        parts.append(_folded("Caption", entry.question.caption, section.caption == "shown"))
    if entry.solvers:
        parts.append(_folded("What models said", "\n".join(entry.solvers), False))
    return "\n\n".join(parts)


def _folded(title: str, text: str, open_: bool) -> str:
    body = f'<div style="white-space: pre-wrap; margin: 8px 0 16px">{inert(text)}</div>'
    return f"<details{' open' if open_ else ''}><summary>{title}</summary>{body}</details>"


def inert(text: str) -> str:
    """Text that Markdown, HTML and formula renderers show verbatim.

    Everything but letters, digits and spaces becomes a numeric character reference; line ends too, since a blank line
    would end the surrounding HTML block.
    """
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in plain(text))


def _metadata(entry: Entry) -> dict[str, Any]:
    question = entry.question
    values = {
        "stage": question.stage,
        "skill": question.skill,
        "source": question.source,
        "reason": entry.fate,
        "stratum": entry.drawn.stratum,
        "question_id": question.question_id,
        "version": entry.version,
        "image_digest": question.image_id,
    }
    found: dict[str, Any] = {name: plain(value)[:_MOST_TERM] for name, value in values.items() if value}
    return found if entry.pass_rate is None else found | {"pass_rate": entry.pass_rate}


def _suggestions(entry: Entry, question_ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    if entry.suggestion:
        yield {
            "question_id": question_ids[RIGHT],
            "value": entry.suggestion.right,
            "score": entry.suggestion.score,
            "agent": entry.suggestion.askers[:_MOST_TERM],
            "type": "model",
        }
