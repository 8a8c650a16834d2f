"""The kinds of errors: five of perception and three others, and two labels for no error.

The paper's categories are not published. These are distinguished by where in the reply the error is: in what it reports
to see, in what it infers, in what it claims to know, or in how it writes its answer.
"""

from collections.abc import Mapping
from enum import StrEnum


class Side(StrEnum):
    """The category of a kind; shares are over the first four."""

    PERCEPTION = "perception"
    REASONING = "reasoning"
    KNOWLEDGE = "knowledge"
    FORMAT = "format"
    NO_ERROR = "no error"
    UNSURE = "unsure"


#: The sides that are errors.
ERRORS = (Side.PERCEPTION, Side.REASONING, Side.KNOWLEDGE, Side.FORMAT)

#: Name -> side and meaning, as judges and people read it; changing a text makes other votes.
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
    """Name -> meaning, with kinds of perception only for cases with an image.

    The order is rotated by `turned` against position bias over several votes; `unsure` stays last.
    """
    names = [name for name in KINDS if name != "unsure" and (image or name not in PERCEPTION)]
    turned %= len(names)
    return {name: KINDS[name][1] for name in (*names[turned:], *names[:turned], "unsure")}
