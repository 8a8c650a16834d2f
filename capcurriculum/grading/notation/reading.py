r"""A cleaned answer as a structure and a unit: what every comparator works on."""

import re
from dataclasses import dataclass
from functools import lru_cache

from capcurriculum.grading.notation import numbers
from capcurriculum.grading.notation.brackets import check_depth
from capcurriculum.grading.notation.nodes import SIGNS, Node
from capcurriculum.grading.notation.structure import structure
from capcurriculum.grading.notation.tokens import tokens
from capcurriculum.grading.notation.tree import Broken, Number
from capcurriculum.grading.notation.unit_suffix import without_unit
from capcurriculum.grading.notation.units import Unit

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d]|,\d)")
_GROUPING = re.compile(r"[(\[]|\\\{|\\\}|[)\]]")


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer's structure and its unit."""

    node: Node
    unit: Unit | None = None


@lru_cache(maxsize=4096)
def read(text: str, *, gold: bool = False, thousands: bool = True, lone: bool = False) -> Reading:
    """What a cleaned text says.

    Args:
        text: as `spelling.clean` gives it.
        gold: a gold answer may count things of its own beside the listed units.
        thousands: whether `1,000` is a number; else its comma is a list's.
        lone: whether one slanted letter after a number is a unit (`5 m`) and not a symbol.

    Raises:
        Words: it is language.
        Broken: it is mathematics that breaks off or contradicts its own notation.
        Unread: it holds a sign that is not known here.
    """
    number = numbers.read(text) if thousands or "," not in text else None
    if number is not None:
        return Reading(Number(number.value, number.decimal))
    found = tokens(_ungrouped(text) if thousands else text)
    check_depth(found)
    if found and SIGNS.get(found[0].text) in ("≈", "="):
        found = found[1:]  # a bare approximation is taken by its value
    if not found:
        raise Broken("it is empty")
    found, unit = without_unit(found, gold, lone)
    return Reading(structure(found), unit)


def _ungrouped(text: str) -> str:
    """`text` with `1,000` as `1000`, outside brackets alone: `(1,234)` is a point."""
    if "," not in text:
        return text
    depth, parts, end = 0, [], 0
    for bracket in _GROUPING.finditer(text):
        part = text[end : bracket.start()]
        parts += [_THOUSANDS.sub(lambda d: d[0].replace(",", ""), part) if depth == 0 else part, bracket[0]]
        depth += 1 if bracket[0] in ("(", "[", r"\{") else -1
        end = bracket.end()
    part = text[end:]
    return "".join([*parts, _THOUSANDS.sub(lambda d: d[0].replace(",", ""), part) if depth == 0 else part])
