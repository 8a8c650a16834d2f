r"""Quantities: a value of any structure and a unit. What to do where only one of two has a unit, and with percent.

A unit may be left out, on either side. Two units must be one: nothing is converted, so `5 km` is not `5000 m`. Percent:
`50\%` is the value one half, and, since questions ask "what percent", the bare number 50 as well.
"""

from fractions import Fraction

from capcurriculum.grading.comparators import structures
from capcurriculum.grading.notation import units
from capcurriculum.grading.notation.nodes import Node, Relation
from capcurriculum.grading.notation.reading import Reading
from capcurriculum.grading.notation.tree import Call, Number, Symbol

_HUNDRED = Number(Fraction(100))


def equal(given: Reading, gold: Reading) -> bool | None:
    """Whether two readings, each perhaps with a unit, are equal; None when it cannot be known."""
    if (given.unit == units.PERCENT) != (gold.unit == units.PERCENT):
        return _percent(given, gold)
    if not units.agree(given.unit, gold.unit):
        return False
    return structures.equal(given.node, gold.node)


def _percent(given: Reading, gold: Reading) -> bool | None:
    """One of the two is a percentage."""
    if given.unit is not None and gold.unit is not None:
        return False
    if gold.unit == units.PERCENT:
        return structures.equal(given.node, gold.node) or structures.equal(given.node, _share(gold.node))
    asked_for_percent = isinstance(gold.node, Number) and abs(gold.node.value) >= 1
    by_value = structures.equal(_share(given.node), gold.node)
    return by_value or (asked_for_percent and structures.equal(given.node, gold.node))


def _share(node: Node) -> Node:
    r"""`50` of `50\%` as one half."""
    if isinstance(node, Relation):
        return Relation((*node.sides[:-1], _share(node.sides[-1])), node.signs)
    return Call("div", (node, _HUNDRED)) if isinstance(node, Number | Symbol | Call) else node
