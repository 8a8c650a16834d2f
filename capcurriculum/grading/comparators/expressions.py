"""Whether two expressions are equal: as exact numbers, or at points drawn from their symbols' names.

Two expressions in the same symbols that agree at several points of 50 digits are equal; one point at which they differ
is enough for them not to be (Schwartz 1980, Zippel 1979). No algebra is done, so nothing is simplified wrongly and
nothing takes long. The points are the same for everybody.
"""

import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

from capcurriculum.grading.notation import numbers
from capcurriculum.grading.notation.tree import Call, Symbol, Tree, has_decimal, names
from capcurriculum.grading.values.arithmetic import DIGITS, Scalar, TooLarge, Undefined, context
from capcurriculum.grading.values.evaluate import Evaluator
from capcurriculum.grading.values.matrix import Matrix, Value

_POINTS, _LEAST = 8, 2
_MORE_DIGITS = 160
_LARGE, _MOST_DIGITS = 10**12, 3000
_CLOSE = Fraction(1, 10**35)


def equal(given: Tree, gold: Tree) -> bool | None:
    """Whether two trees have one value; None when no point could be found at which both have one.

    An answer with a symbol that the gold answer lacks is another one (`7 + 0x` is not 7).
    """
    if given == gold:
        return True
    if names(given) != names(gold):
        return False
    decimal = has_decimal(given) or has_decimal(gold)
    logs = (True, False) if _bare_log(given) or _bare_log(gold) else (True,)
    verdicts = [_equal_with(given, gold, decimal=decimal, log10=log10) for log10 in logs]
    return True if True in verdicts else verdicts[0]


def _too_large(tree: Tree, point: dict[str, Fraction]) -> bool:
    try:
        Evaluator(point)(tree)
    except TooLarge:
        return True
    except Undefined:
        return False
    return False


def _bare_log(tree: Tree) -> bool:
    return isinstance(tree, Call) and ((tree.name == "log" and len(tree.args) == 1) or any(map(_bare_log, tree.args)))


def _has_i(tree: Tree) -> bool:
    return tree == Symbol("i") or (isinstance(tree, Call) and any(map(_has_i, tree.args)))


def _equal_with(given: Tree, gold: Tree, *, decimal: bool, log10: bool) -> bool | None:
    agreed = undefined = 0
    branches = bool(names(gold)) and not (_has_i(given) or _has_i(gold))
    for point in points(names(gold)):
        try:
            expected = Evaluator(point, log10=log10)(gold)
        except Undefined:
            continue
        except TooLarge:
            return None if _too_large(given, point) else False
        try:
            value = Evaluator(point, log10=log10)(given)
        except TooLarge:
            return False
        except Undefined:
            undefined += 1
            continue
        if not same_value(value, expected, decimal=decimal):
            # The branch of a root or a power of a negative number is a convention.
            if branches and not (_is_real(value) and _is_real(expected)):
                continue
            if _noise(given, gold, point, log10):
                continue
            return False
        if not decimal and _hides(value, expected) and not _same_in_full(given, gold, point, log10):
            return False
        agreed += 1
    if agreed >= (_LEAST if names(gold) else 1):
        return True
    return False if undefined else None  # where the gold answer has a value, the answer has none


def points(symbols: frozenset[str]) -> Iterator[dict[str, Fraction]]:
    """Values for the symbols: five times positive ones, once larger, then of mixed signs, then negative ones."""
    if not symbols:
        yield {}
        return
    for number in range(_POINTS):
        point = {}
        for name in symbols:
            drawn = zlib.crc32(f"{number} {name}".encode())
            value = Fraction(drawn % 997 + 301, 499) * (7 if number == 4 else 1)
            negative = number == _POINTS - 1 or (number >= 5 and drawn >> 16 & 1)
            point[name] = -value if negative else value
        yield point


def _is_real(value: Value) -> bool:
    if isinstance(value, Matrix):
        return all(_is_real(cell) for row in value.rows for cell in row)
    return isinstance(value, Fraction) or context().im(value) == 0


def same_value(value: Value, expected: Value, *, decimal: bool) -> bool:
    """Whether two values are equal; `decimal` as in `numbers.equal`. Matrices are equal cell by cell."""
    if isinstance(value, Matrix) or isinstance(expected, Matrix):
        if not (isinstance(value, Matrix) and isinstance(expected, Matrix)):
            return False
        if [len(row) for row in value.rows] != [len(row) for row in expected.rows]:
            return False
        pairs = [pair for rows in zip(value.rows, expected.rows, strict=True) for pair in zip(*rows, strict=True)]
        return all(same_value(one, other, decimal=decimal) for one, other in pairs)
    if isinstance(value, Fraction) and isinstance(expected, Fraction):
        return numbers.equal(value, expected, decimal=decimal)
    return _close(value, expected, _tolerance(decimal))


def _tolerance(decimal: bool) -> Fraction:
    return numbers.ROUNDED if decimal else _CLOSE


def _close(value: Scalar, expected: Scalar, tolerance: Fraction) -> bool:
    mp = context()
    one, other = Evaluator().real(value), Evaluator().real(expected)
    if one == other:
        return True
    if mp.isinf(one) or mp.isinf(other) or mp.isnan(one) or mp.isnan(other):
        return False
    return bool(abs(one - other) <= min(abs(one), abs(other)) * tolerance.numerator / tolerance.denominator)


def _noise(given: Tree, gold: Tree, point: dict[str, Fraction], log10: bool) -> bool:
    """Whether a difference is only what cancellation left of 50 digits: with more digits it shrinks as they grow."""
    differences = []
    for digits in (DIGITS, _MORE_DIGITS):
        evaluate = Evaluator(point, digits, log10=log10)
        one, other = evaluate(given), evaluate(gold)
        if isinstance(one, Matrix) or isinstance(other, Matrix):
            return False
        differences.append(abs(evaluate.real(one) - evaluate.real(other)))
    few, many = differences
    return bool(few < Fraction(1, 10**30).__float__() and many <= few * context(_MORE_DIGITS).mpf(10) ** -60)


def _hides(value: Value, expected: Value) -> bool:
    """Whether two rounded values are so large that a difference of one could be lost in their digits."""
    if isinstance(value, Matrix) or isinstance(expected, Matrix):
        return False
    exact = isinstance(value, Fraction) and isinstance(expected, Fraction)
    return not exact and abs(Evaluator().real(expected)) > _LARGE


def _same_in_full(given: Tree, gold: Tree, point: dict[str, Fraction], log10: bool) -> bool:
    """Equality of large values with as many more digits as they have before the point."""
    size = context().log10(abs(Evaluator().real(Evaluator(point, log10=log10)(gold))))
    digits = DIGITS + int(min(size, _MOST_DIGITS))
    evaluate = Evaluator(point, digits, log10=log10)
    one, other = evaluate.real(evaluate(given)), evaluate.real(evaluate(gold))
    return bool(abs(one - other) <= abs(other) * context(digits).mpf(10) ** -(digits - 10))


def proportional(given: Sequence[Tree], gold: Sequence[Tree]) -> Fraction | int | None:
    """The sign of the factor between `given[0] - given[1]` and `gold[0] - gold[1]` where it is one; 0 where it is none.

    None when it cannot be known. `2x - y + 1 = 0` and `y = 2x + 1` differ by the factor -1.
    """
    one, other = (Call("add", (left, Call("neg", (right,)))) for left, right in (given, gold))
    if names(one) != names(other) or not names(other):
        return 0
    decimal = has_decimal(one) or has_decimal(other)
    ratios: list[Scalar] = []
    for point in points(names(other)):
        evaluate = Evaluator(point)
        try:
            above, below = evaluate(one), evaluate(other)
            if isinstance(above, Matrix) or isinstance(below, Matrix):
                return None
            if not (_is_real(above) and _is_real(below)):
                continue
            if below == 0 or above == 0:
                if above != below:
                    return 0
                continue
            ratios.append(
                above / below if isinstance(above, type(below)) else evaluate.real(above) / evaluate.real(below)
            )
        except Undefined:
            continue
        except TooLarge:
            return None
    if len(ratios) < _LEAST:
        return None
    if not all(same_value(ratio, ratios[0], decimal=decimal) for ratio in ratios[1:]):
        return 0
    return 1 if ratios[0] > 0 else -1


def size(tree: Tree) -> float:
    """The absolute value of a tree without symbols; infinity where it has none."""
    try:
        value = Evaluator()(tree)
    except (Undefined, TooLarge, KeyError):
        return float("inf")
    return float("inf") if isinstance(value, Matrix) else float(abs(value))
