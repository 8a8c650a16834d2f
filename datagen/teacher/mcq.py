"""A teacher's reply -> a question, or the reason why not.

The same schema goes to engines that can constrain decoding and to the check that is always made. Options are then
permuted by a shuffle seeded with the question's own content, so the answer key is balanced whatever letter the teacher
prefers, and the same question is permuted the same way everywhere.
"""

import json
import random
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from capcurriculum.errors import ParseError
from capcurriculum.grading import json_reply
from capcurriculum.prompts import neutral
from capcurriculum.rows import LETTERS, SCHEMA, digest
from datagen.sources.options import choices

MAX_QUESTION = 400
MAX_OPTION = 120
_LONGEST_ANSWER = 2 * MAX_OPTION
#: A letter before an option: the question gives it one already.
_LABELLED = re.compile(r"^\s*[(\[]?([A-Da-d])(?:[)\]][.:]?|[.:、])\s+(?=\S)")
_SOURCE_NAMED = re.compile(r"\b(?:caption|description|described|text above)\b", re.IGNORECASE)

#: Question marks of Latin, East Asian, Arabic and Armenian writing wherever they stand, and the Greek one at an end.
_MARK = re.compile(r"[?？؟՞]|;\s*\Z")
#: A blank, empty brackets, or an end that is left open.
_GAP = re.compile(r"_{2,}|\(\s*\)|（\s*）|\[\s*\]|(?:\.{3}|…|[:：])\s*\Z")
_ORDER = re.compile(
    r"(?:\A|[.!:,]\s+|\b(?:and|then|please) )(?:answer|arrange|choose|classify|complete|count|decide|determine|estimate"
    r"|fill in|find|give|identify|indicate|locate|match|name|pick|point out|rank|say|select|specify|spot|state|tell)\b"
    r"|\A(?:what|which|who|whose|how)\b(?! an? )",
    re.IGNORECASE,
)
#: Chinese and Japanese, which need no mark: please, choose, what, which, how many, who, and か at an end.
_EAST_ASIAN = re.compile(r"请|請|选|選|什么|什麼|哪|几|幾|多少|谁|誰|何|どれ|どの|どこ|か[。．.]?\s*\Z")

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
    # Engines that cannot constrain decoding add an "explanation" or a "reasoning"; it changes nothing.
    model_config = ConfigDict(extra="ignore", strict=True)

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
    return _check(json_reply.read(text, _Reply))


def _check(reply: _Reply) -> Choice:
    question = neutral(reply.question)
    named = sorted((letter.upper(), text) for letter, text in reply.options.items())
    if [letter for letter, _ in named] != list(LETTERS):
        raise ParseError("the options must be A, B, C and D")
    options = tuple(neutral(text) for _, text in named)
    if all(map(_LABELLED.match, options)):
        options = _unlabelled(options)
    if not asks(question) or len(question) > MAX_QUESTION:
        raise ParseError(f"the question must end in a question mark and have at most {MAX_QUESTION} characters")
    if _SOURCE_NAMED.search(question):
        raise ParseError("the question speaks of a caption or description")
    if len({" ".join(option.casefold().split()) for option in options}) < len(LETTERS):
        raise ParseError("the options are not four different texts")
    if any(not option or "\n" in option or len(option) > MAX_OPTION for option in options):
        raise ParseError(f"each option must be one line of 1 to {MAX_OPTION} characters")
    answer = choices.letter(reply.answer[:_LONGEST_ANSWER], options)  # `b`, `B) teal` and `teal` name an option too
    if not answer:
        raise ParseError("the answer must be one of A, B, C and D")
    return Choice(question, options, answer)


def _unlabelled(options: tuple[str, ...]) -> tuple[str, ...]:
    """Options without letters of their own, which would be shuffled with them; those out of order are refused."""
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


def asks(text: str) -> bool:
    """Whether the text of a question with options asks for one of them: a question, an order to choose, or a gap.

    Teachers write "Choose the colour of the left car." and end a question as their own script does. An option answers
    both; nothing answers "The left car is red."
    """
    return any(pattern.search(text) for pattern in (_MARK, _GAP, _ORDER, _EAST_ASIAN))
