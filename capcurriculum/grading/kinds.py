r"""The kind of a gold answer, found once: it says which comparison may run.

Text never reaches algebra, a quantity has a unit, a number is compared as a number. A source whose answers are all of
one kind may name it in its recipe; otherwise the gold answer's own structure decides.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from capcurriculum.grading.notation.nodes import ORDERED, Cases, Group, Measured, Name, Ratio, Relation, Union
from capcurriculum.grading.notation.reading import Reading, read
from capcurriculum.grading.notation.spelling import clean
from capcurriculum.grading.notation.tokens import Words
from capcurriculum.grading.notation.tree import Broken, Call, Number, Symbol, Unread, is_matrix


class Kind(StrEnum):
    """What a gold answer is."""

    CHOICE = "choice"
    NUMBER = "number"
    QUANTITY = "quantity"
    EXPRESSION = "expression"
    EQUATION = "equation"
    SET = "set"
    LIST = "list"
    TUPLE = "tuple"
    INTERVAL = "interval"
    MATRIX = "matrix"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer with its kind; `reading` is None for text and where its notation is not known here."""

    text: str
    kind: Kind
    reading: Reading | None


#: `(C)`, `\text{(D)}`, `(D) \ 1`: the letter of an option that the row no longer holds, perhaps with its text.
LETTER = re.compile(r"^(?:\\text\{)? ?\(([A-J])\)(?: ?[.:])? ?\}?(?P<rest>.*)$")
#: What looks like arithmetic and is written as text: dates, ranges, times of day, codes.
_RANGE = re.compile(r"^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)\s?%?$")
_WRITTEN = re.compile(
    r"^(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|0\d/\d+|\d+/0\d+|\d{3,}-\d{3,}(?:-\d+)*"
    r"|\(\d{3}\) ?\d{3}-\d{4}|[A-Z]-\d{2,}[A-Za-z\d-]*|[a-z]-\d{3,}-[a-z\d]+|[A-Za-z]{2,}-\d+[A-Za-z\d-]*"
    r"|\d{1,2}(?::\d{2}){0,2} ?[AaPp]\.?[Mm]\.?|\d+(?:st|nd|rd|th))$"
)
#: A house number, a section: digits and a capital, for which a small letter will do.
CODE = re.compile(r"^\d+[A-Z]$")


@lru_cache(maxsize=4096)
def gold(text: str, kind: Kind | None = None) -> Gold:
    """The gold answer that `text` is; `kind` where its source says it."""
    cleaned = clean(text)
    if kind is Kind.TEXT or (kind is None and _is_text(cleaned)):
        return Gold(cleaned, Kind.TEXT, None)
    if kind is Kind.CHOICE or (kind is None and LETTER.match(cleaned)):
        return Gold(cleaned, Kind.CHOICE, None)
    try:
        reading = read(cleaned, gold=True)
    except Words:
        return Gold(cleaned, Kind.TEXT, None)  # whatever it was said to be
    except (Broken, Unread):
        return Gold(cleaned, Kind.EXPRESSION if "\\" in text else Kind.TEXT, None)
    return Gold(cleaned, kind or _kind(reading), reading)


def _is_text(cleaned: str) -> bool:
    if not cleaned or _WRITTEN.match(cleaned):
        return True
    if (ends := _RANGE.match(cleaned)) and float(ends[1]) < float(ends[2]):
        return True
    letters = cleaned.removeprefix(r"\text{").removesuffix("}").strip()
    # Capitals name something (a point, a state, a company), and so do small Roman numerals: no product is meant.
    return len(letters) > 1 and ((letters.isalpha() and letters.isupper()) or not set(letters) - set("ivx"))


def _kind(reading: Reading) -> Kind:
    if reading.unit is not None:
        return Kind.QUANTITY
    node = reading.node
    match node:
        case Number():
            return Kind.NUMBER
        case Group("{}"):
            return Kind.SET
        case Group(""):
            return Kind.LIST
        case Group("()" | "[]"):
            return Kind.TUPLE
        case Group() | Union():
            return Kind.INTERVAL
        case Relation(_, signs):
            return Kind.INTERVAL if set(signs) <= ORDERED | {"in", "!="} else Kind.EQUATION
        case Ratio():
            return Kind.EXPRESSION
        case Cases():
            return Kind.MATRIX
        case Name() | Measured():
            return Kind.TEXT
        case Call() if is_matrix(node):
            return Kind.MATRIX
        case Symbol() | Call():
            return Kind.EXPRESSION


def is_label(text: str) -> bool:
    """Whether `text` is capitals that name points (`ABC`, `PQ`): there case and order count."""
    codes = sorted(map(ord, text))
    consecutive = all(after - before == 1 for before, after in pairwise(codes))
    return len(text) > 1 and text.isascii() and text.isalpha() and text.isupper() and consecutive
