r"""Intervals, unions, inequalities in one variable: sets of real numbers.

`x \ge 0`, `[0,\infty)` and `x \in [0,\infty)` are one set; `(0,9)` and `[0,9)` are two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from capcurriculum.grading.comparators.expressions import points, same_value
from capcurriculum.grading.notation.nodes import ORDERED, REALS, Group, Name, Node, Relation, Union, flipped
from capcurriculum.grading.notation.tree import Call, Number, Symbol, names
from capcurriculum.grading.values.arithmetic import Scalar, TooLarge, Undefined, context
from capcurriculum.grading.values.evaluate import Evaluator
from capcurriculum.grading.values.matrix import Matrix

_TRIES = 3
_INTERVALS = frozenset(["()", "[)", "(]", "[]"])


class NotASet(ValueError):
    """The node is no set of real numbers."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`, each end in it or not."""

    low: Scalar
    high: Scalar
    has_low: bool
    has_high: bool


def equal(given: Node, gold: Node) -> bool | None:
    """Whether two nodes are one set of real numbers; None when either is none."""
    if _variable(given) != _variable(gold) and _variable(given) and _variable(gold):
        return None if _unsolved(given) and _unsolved(gold) else False
    symbols = _symbols(given) | _symbols(gold)
    agreed = 0
    for _, point in zip(range(_TRIES), points(symbols), strict=False):
        try:
            one, other = (_merged(_spans(node, Evaluator(point))) for node in (given, gold))
        except (Undefined, TooLarge):
            continue
        except NotASet:
            return None
        if len(one) != len(other) or not all(map(_same, one, other)):
            return False
        agreed += 1
    return True if agreed else None


def _variable(node: Node) -> str:
    r"""The name that a solved inequality, or `x \in A`, is about; "" where there is none."""
    match node:
        case Relation((Name(text), *_)):
            return "" if text == "?" else text
        case Relation((Symbol(name), *_)):
            return name
        case Relation((_, Symbol(name), *_), signs) if "in" not in signs:
            return name
        case Group("" | "and", (first, *_)):
            return _variable(first)
    return ""


def _unsolved(node: Node) -> bool:
    """Whether it is a relation between more than a name and a number."""
    return isinstance(node, Relation) and len(_symbols(node)) > 1


def _symbols(node: Node) -> frozenset[str]:
    match node:
        case Group(_, items) | Union(items) | Relation(items):
            return frozenset().union(*map(_symbols, items))
        case Number() | Symbol() | Call():
            return names(node)
    return frozenset()


def _same(one: Span, other: Span) -> bool:
    ends = (one.has_low, one.has_high) == (other.has_low, other.has_high)
    return ends and _at(one.low, other.low) and _at(one.high, other.high)


def _at(one: Scalar, other: Scalar) -> bool:
    return same_value(one, other, decimal=True)


def _spans(node: Node, evaluate: Evaluator) -> list[Span]:
    match node:
        case Group("{}", items):
            values = [_value(item, evaluate) for item in items]
            return [Span(value, value, True, True) for value in values]
        case Group(brackets, (low, high)) if brackets in _INTERVALS:
            return [_interval(_value(low, evaluate), _value(high, evaluate), brackets)]
        case Group("", items) if all(isinstance(item, Relation) for item in items):
            return [span for item in items for span in _spans(item, evaluate)]
        case Group("and", items):
            return _common([_spans(item, evaluate) for item in items])
        case Union(parts):
            return [span for part in parts for span in _spans(part, evaluate)]
        case Relation((Name() | Symbol(), right), ("in",)):
            return _spans(right, evaluate)
        case Relation((Name() | Symbol(), right), ("=",)):
            return _spans(right, evaluate)
        case Relation(sides, signs):
            return _solutions(sides, signs, evaluate)
        case _ if node == REALS:
            return [Span(-context().inf, context().inf, False, False)]
    raise NotASet


def _value(node: Node, evaluate: Evaluator) -> Scalar:
    if not isinstance(node, Number | Symbol | Call):
        raise NotASet
    value = evaluate(node)
    if isinstance(value, Matrix) or (not isinstance(value, Fraction) and context().im(value) != 0):
        raise NotASet
    return value


def _interval(low: Scalar, high: Scalar, brackets: str) -> Span:
    infinite = [not isinstance(end, Fraction) and bool(context().isinf(end)) for end in (low, high)]
    return Span(low, high, brackets[0] == "[" and not infinite[0], brackets[1] == "]" and not infinite[1])


def _solutions(sides: Sequence[Node], signs: Sequence[str], evaluate: Evaluator) -> list[Span]:
    r"""The numbers that one relation, or a chain of two such as `1 < x \le 3`, leaves to its variable."""
    if len(sides) == 3 and set(signs) <= ORDERED and signs[0][0] == signs[1][0] and isinstance(sides[1], Symbol | Name):
        ends = [_value(sides[0], evaluate), _value(sides[2], evaluate)]
        closed = [sign.endswith("=") for sign in signs]
        if signs[0][0] == ">":
            ends.reverse()
            closed.reverse()
        return [_interval(ends[0], ends[1], ("[" if closed[0] else "(") + ("]" if closed[1] else ")"))]
    if len(sides) != 2 or signs[0] not in ORDERED | {"!="}:
        raise NotASet
    left, right = sides
    sign, end = _isolated(left, right, signs[0], evaluate)
    infinity = context().inf
    if sign == "!=":
        return [Span(-infinity, end, False, False), Span(end, infinity, False, False)]
    closed_end = sign.endswith("=")
    if sign[0] == "<":
        return [Span(-infinity, end, False, closed_end)]
    return [Span(end, infinity, closed_end, False)]


def _isolated(left: Node, right: Node, sign: str, evaluate: Evaluator) -> tuple[str, Scalar]:
    """(sign, end) of `x sign end`: the variable alone on one side, or one variable in a linear relation."""
    if isinstance(left, Symbol | Name) and left not in (Symbol("e"), Symbol("i")):
        return sign, _value(right, evaluate)
    if isinstance(right, Symbol):
        return flipped(sign), _value(left, evaluate)
    if not all(isinstance(side, Number | Symbol | Call) for side in (left, right)):
        raise NotASet
    difference = Call("add", (left, Call("neg", (right,))))  # type: ignore[arg-type]
    symbols = list(names(difference))
    if len(symbols) != 1:
        raise NotASet
    found = [Evaluator({symbols[0]: Fraction(place)})(difference) for place in (-2, -1, 0, 1, 2)]
    at = [value for value in found if isinstance(value, Fraction)]
    if len(at) < len(found):
        raise NotASet
    slope = at[3] - at[2]
    if slope == 0 or any(after - before != slope for before, after in pairwise(at)):
        raise NotASet
    return (sign if slope > 0 else flipped(sign)), -at[2] / slope


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that touch as one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda one: (Evaluator().real(one.low), not one.has_low)):
        last = merged[-1] if merged else None
        if last and (span.low < last.high or (span.low == last.high and (span.has_low or last.has_high))):
            further = span if span.high > last.high or (span.high == last.high and span.has_high) else last
            merged[-1] = Span(last.low, further.high, last.has_low, further.has_high)
        else:
            merged.append(span)
    return merged


def _common(several: Sequence[list[Span]]) -> list[Span]:
    found = several[0]
    for spans in several[1:]:
        found = [common for one in found for other in spans if (common := _both(one, other))]
    return found


def _both(one: Span, other: Span) -> Span | None:
    low = max(one, other, key=lambda span: (Evaluator().real(span.low), not span.has_low))
    high = min(one, other, key=lambda span: (Evaluator().real(span.high), span.has_high))
    if low.low > high.high or (low.low == high.high and not (low.has_low and high.has_high)):
        return None
    return Span(low.low, high.high, low.has_low, high.has_high)
