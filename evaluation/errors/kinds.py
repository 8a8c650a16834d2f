"""What a mistake can be: our own list, five kinds of perception and three others, and two ways to say that it is none.

The paper's categories are not published; these are told apart by where in a reply the mistake is: in what it says is to
be seen, in what it makes of that, in what it claims to know, or in how it writes its answer down.
"""

from collections.abc import Mapping
from enum import StrEnum


class Side(StrEnum):
    """What is counted: errors of perception against the others; `NO_ERROR` is none, `UNSURE` cannot tell."""

    PERCEPTION = "perception"
    REASONING = "reasoning"
    KNOWLEDGE = "knowledge"
    FORMAT = "format"
    NO_ERROR = "no error"
    UNSURE = "unsure"


#: The sides that are errors.
ERRORS = (Side.PERCEPTION, Side.REASONING, Side.KNOWLEDGE, Side.FORMAT)

#: Name -> side and meaning, as judges and people are told it.
KINDS: Mapping[str, tuple[Side, str]] = {
    "misread_text": (Side.PERCEPTION, "a text, number, label or scale in the image is misread"),
    "wrong_object": (
        Side.PERCEPTION,
        "a thing in the image is taken for another, given a wrong attribute such as colour, shape or size, or invented",
    ),
    "wrong_relation": (
        Side.PERCEPTION,
        "where something is in the image, or how things lie to each other or are connected, is wrong",
    ),
    "wrong_count": (Side.PERCEPTION, "things in the image are counted wrongly"),
    "missed_element": (Side.PERCEPTION, "something in the image that the answer depends on is overlooked"),
    "reasoning": (
        Side.REASONING,
        "what it starts from is right, but a step, a calculation or a conclusion is not",
    ),
    "knowledge": (Side.KNOWLEDGE, "a fact, formula or meaning that is not in the question is wrong or not known"),
    "format": (Side.FORMAT, "the reply arrives at the right answer, but writes down another or none"),
    "no_error": (Side.NO_ERROR, "the answer is right as well, or the answer given as right is not"),
    "unsure": (Side.UNSURE, "this cannot be told"),
}
PERCEPTION = tuple(name for name, (side, _) in KINDS.items() if side is Side.PERCEPTION)


def side(name: str) -> Side:
    """The side of a kind."""
    return KINDS[name][0]


def meanings(image: bool, turned: int = 0) -> dict[str, str]:
    """Name -> meaning; kinds of perception only where there is an image.

    The order is turned by `turned`, so that no preference for a place decides several votes alike; `unsure` stays last.
    """
    names = [name for name in KINDS if name != "unsure" and (image or name not in PERCEPTION)]
    turned %= len(names)
    return {name: KINDS[name][1] for name in (*names[turned:], *names[:turned], "unsure")}
