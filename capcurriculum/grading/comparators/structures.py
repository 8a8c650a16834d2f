"""Equality of two structures: from the gold answer's structure to the module of its kind."""

from capcurriculum.grading.comparators import equations, expressions, intervals, lists, ratios
from capcurriculum.grading.comparators.matrices import column
from capcurriculum.grading.notation import units
from capcurriculum.grading.notation.nodes import (
    ORDERED,
    REALS,
    Cases,
    Group,
    Measured,
    Name,
    Node,
    Ratio,
    Relation,
    Union,
)
from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree, is_matrix
from capcurriculum.grading.notation.units import Unit


def equal(given: Node, gold: Node) -> bool | None:
    """Whether two structures are equal; None when it cannot be known."""
    if isinstance(given, Measured) or isinstance(gold, Measured):
        (value, unit), (gold_value, gold_unit) = _parted(given), _parted(gold)
        return units.agree(unit, gold_unit) and equal(value, gold_value)
    match gold:
        case Group():
            return lists.equal(given, gold, equal)
        case Union():
            return intervals.equal(given, gold) or False
        case Relation():
            return equations.equal(given, gold, equal)
        case Ratio():
            said = equations.settled(given, equal) if isinstance(given, Relation) else given
            return False if said is None else ratios.equal(said, gold)
        case Cases(rows):
            return isinstance(given, Cases) and sorted(given.rows) == sorted(rows)
        case Name():
            return given == gold
    return _expression(given, gold)


def _parted(node: Node) -> tuple[Node, Unit | None]:
    return (node.node, node.unit) if isinstance(node, Measured) else (node, None)


def _expression(given: Node, gold: Tree) -> bool | None:
    """Any structure for an expression: the value it assigns, the one item it holds, the column it writes."""
    match given:
        case Relation() if set(given.signs) & (ORDERED | {"in"}):
            return gold == REALS and bool(intervals.equal(given, gold))
        case Relation():
            value = equations.settled(given, equal, gold)
            return False if value is None else equal(value, gold)
        case Group("{}", (only,)):
            return equal(only, gold)
        case Group("()", items) if is_matrix(gold):
            return column(items, gold)
        case Group() if gold == REALS:
            return bool(intervals.equal(given, gold))
        case Ratio():
            return ratios.is_fraction(given, gold)
        case Number() | Symbol() | Call():
            return expressions.equal(given, gold)
    return False
