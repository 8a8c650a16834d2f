"""A teacher's reply -> a question, or the reason why not.

The same schema goes to engines that can constrain decoding and to the check that is always made. Options are then
permuted by a shuffle seeded with the question's own content, so the answer key is balanced whatever letter the teacher
prefers, and the same question is permuted the same way everywhere.
"""

import json
import random
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from capcurriculum.errors import ParseError
from capcurriculum.rows import LETTERS, SCHEMA, digest
from datagen.text import neutral

MAX_QUESTION = 400
MAX_OPTION = 120
#: A letter before an option: the question gives it one already.
_LABELLED = re.compile(r"^\s*[(\[]?([A-Da-d])(?:[)\]][.:]?|[.:、])\s+(?=\S)")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_SOURCE_NAMED = re.compile(r"\b(?:caption|description|described|text above)\b", re.IGNORECASE)

#: What the engine is asked to keep to; its digest is part of the request.
JSON_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "question": {"type": "string", "maxLength": MAX_QUESTION},
            "options": {
                "type": "object",
                "properties": {letter: {"type": "string", "maxLength": MAX_OPTION} for letter in LETTERS},
                "required": list(LETTERS),
                "additionalProperties": False,
            },
            "answer": {"enum": list(LETTERS)},
        },
        "required": ["question", "options", "answer"],
        "additionalProperties": False,
    },
    separators=(",", ":"),
)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    options: dict[str, str]
    answer: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A checked question: four option texts in letter order and the letter of the right one."""

    question: str
    options: tuple[str, ...]
    answer: str


def parse(text: str, finish: str) -> Choice:
    """Check a reply.

    Raises:
        ParseError: it is not a usable question; the text is a short clause that goes back to the teacher.
    """
    if finish == "length":
        raise ParseError("it was cut off before its end")
    fenced = _FENCE.match(text)
    try:
        reply = _Reply.model_validate_json(fenced.group(1) if fenced else text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ParseError(f"it is not the JSON object asked for ({where or 'reply'}: {first['msg']})") from error
    return _check(reply)


def _check(reply: _Reply) -> Choice:
    question = neutral(reply.question)
    options = tuple(neutral(reply.options[letter]) for letter in LETTERS if letter in reply.options)
    if sorted(reply.options) != list(LETTERS):
        raise ParseError("the options must be A, B, C and D")
    if all(map(_LABELLED.match, options)):
        options = _unlabelled(options)
    if reply.answer not in LETTERS:
        raise ParseError("the answer must be one of A, B, C and D")
    if not question.endswith("?") or len(question) > MAX_QUESTION:
        raise ParseError(f"the question must end in a question mark and have at most {MAX_QUESTION} characters")
    if _SOURCE_NAMED.search(question):
        raise ParseError("the question speaks of a caption or description")
    if len({" ".join(option.casefold().split()) for option in options}) < len(LETTERS):
        raise ParseError("the options are not four different texts")
    if any(not option or "\n" in option or len(option) > MAX_OPTION for option in options):
        raise ParseError(f"each option must be one line of 1 to {MAX_OPTION} characters")
    return Choice(question, options, reply.answer)


def _unlabelled(options: tuple[str, ...]) -> tuple[str, ...]:
    """Options without letters of their own, which would be shuffled with them.

    Raises:
        ParseError: the letters are not those of their places.
    """
    found = [match for option in options if (match := _LABELLED.match(option))]
    if [match[1].upper() for match in found] != list(LETTERS):
        raise ParseError("the options carry letters of their own, in another order; write their texts alone")
    return tuple(option[match.end() :].strip() for option, match in zip(options, found, strict=True))


def permuted(choice: Choice, salt: str) -> Choice:
    """The same question with its options in an order drawn from its content and `salt`."""
    seed = digest(SCHEMA, "permute", salt, choice.question, sorted(choice.options))
    order = list(choice.options)
    order.sort()  # from a fixed start, so that the teacher's own order leaves no trace
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    right = choice.options[LETTERS.index(choice.answer)]
    return Choice(choice.question, tuple(order), LETTERS[order.index(right)])
