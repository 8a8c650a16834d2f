r"""Equations, assignments, inequalities that are not solved, and other relations.

Two equations are equal when the differences of their sides are, up to a factor: `2x - y + 1 = 0` and `y = 2x + 1`. An
assignment is also compared by its value alone, and a chain by the value it arrives at.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

from capcurriculum.grading.comparators import expressions, intervals
from capcurriculum.grading.comparators.assignments import is_name, renamed, same_name
from capcurriculum.grading.comparators.lists import Equal, all_equal, in_order
from capcurriculum.grading.notation.nodes import ORDERED, Group, Node, Relation
from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree, has_decimal, names

_EQUATION = frozenset(["=", "≈"])
_SYMMETRIC = frozenset(["perp", "parallel", "sim", "cong", "equiv", "!="])
_APPROXIMATION = Fraction(1, 50)  # how far an approximation may be from what it approximates, as a share


def equal(given: Node, gold: Relation, same: Equal) -> bool | None:
    """Whether `given` says what the relation `gold` says; None when it cannot be known."""
    signs = set(gold.signs)
    if signs & (ORDERED | {"in", "!="}):
        found = intervals.equal(given, gold)
        return _inequality(given, gold) if found is None else found
    if not signs <= _EQUATION:
        return _other_relation(given, gold, same)
    if isinstance(given, Relation):
        return set(given.signs) <= _EQUATION and _equation(given, gold, same)
    return _value_alone(given, gold, same)


def settled(relation: Relation, same: Equal, gold: Node | None = None) -> Node | None:
    r"""The value that `x = 2 + 3 = 5` arrives at; None when it is no such chain, or one whose parts differ.

    `x \approx 3.14` counts where the gold answer is itself a decimal.
    """
    first, *rest = relation.sides
    if not set(relation.signs) <= _EQUATION:
        return None
    last = rest[-1]
    if "≈" in relation.signs and not (isinstance(gold, Number | Call) and has_decimal(gold)):
        return None
    if not is_name(first):
        if is_name(last) and len(relation.sides) == 2:
            return first
        rest = [first, *rest]
    elif isinstance(first, Symbol) and isinstance(gold, Symbol | Call | Number) and first.name in names(gold):
        return None  # `k = 3` for 3k
    return last if all(_agrees(one, last, relation.signs, same) for one in rest[:-1]) else None


def _agrees(one: Node, last: Node, signs: Sequence[str], same: Equal) -> bool:
    if is_name(one):
        return True
    if "≈" in signs and isinstance(one, Number | Call) and isinstance(last, Number):
        apart = expressions.size(Call("add", (one, Number(-last.value))))
        return apart <= _APPROXIMATION * abs(last.value)
    return same(one, last) is True


def _value_alone(given: Node, gold: Relation, same: Equal) -> bool | None:
    """An answer that is no relation: the value that the gold answer assigns."""
    value = settled(gold, same)
    if value is None or (isinstance(gold.sides[0], Group) and not isinstance(given, Group)):
        return False
    *left, last = gold.sides
    items = given.items if isinstance(given, Group) and given.brackets in ("()", "") else ()
    if len(left) == len(items) > 1 and all(map(is_name, left)):  # x = y = z = 1
        return all_equal(same(item, last) for item in items)
    return same(given, value)


def _equation(given: Relation, gold: Relation, same: Equal) -> bool | None:
    if given == gold:
        return True
    value, said = settled(gold, same), settled(given, same)
    if value is not None and said is not None and same_name(given.sides[0], gold.sides[0]):
        verdict = same(renamed(said, given.sides[0], gold.sides[0]), value)
        if verdict is not False or len(gold.sides) > 2:
            return verdict
    if len(given.sides) != 2 or len(gold.sides) != 2:
        return False
    trees = _trees(given, gold)
    if trees is None:
        return in_order(given.sides, gold.sides, same)
    factor = expressions.proportional(*trees)
    return None if factor is None else factor != 0


def _trees(given: Relation, gold: Relation) -> tuple[list[Tree], list[Tree]] | None:
    """The sides of both, where all are expressions."""
    if not all(isinstance(side, Number | Symbol | Call) for side in chain(given.sides, gold.sides)):
        return None
    one, other = (
        [side for side in relation.sides if isinstance(side, Number | Symbol | Call)] for relation in (given, gold)
    )
    return one, other


def _inequality(given: Node, gold: Relation) -> bool | None:
    """Relations that are not solved for a variable: the same up to a factor that keeps the sign."""
    if not isinstance(given, Relation) or len(given.sides) != 2 or len(gold.sides) != 2:
        return given == gold
    trees = _trees(given, gold)
    if trees is None:
        return given == gold
    sign, other = given.signs[0], gold.signs[0]
    if sign.endswith("=") != other.endswith("=") or (sign == "!=") != (other == "!="):
        return False
    factor = expressions.proportional(*trees)
    if factor is None or other == "!=":
        return None if factor is None else factor != 0
    return factor == (1 if sign[0] == other[0] else -1)


def _other_relation(given: Node, gold: Relation, same: Equal) -> bool | None:
    r"""`AB \perp CD`, `a \mid b`: side by side, in either order where the relation is symmetric."""
    if not isinstance(given, Relation) or given.signs != gold.signs:
        return False
    straight = in_order(given.sides, gold.sides, same)
    if straight is not False or len(gold.sides) != 2 or gold.signs[0] not in _SYMMETRIC:
        return straight
    return in_order(given.sides, gold.sides[::-1], same)
