r"""The value of an expression tree at given values of its symbols."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree
from capcurriculum.grading.values.arithmetic import DIGITS, TRIGONOMETRIC, Arithmetic, Scalar, Undefined
from capcurriculum.grading.values.matrix import Matrix, Value, calculate


class Evaluator(Arithmetic):
    """Evaluates trees with symbols at `values`; `digits` and `log10` as for `Arithmetic`."""

    def __init__(
        self, values: Mapping[str, Fraction] | None = None, digits: int = DIGITS, *, log10: bool = True
    ) -> None:
        super().__init__(digits, log10=log10)
        self.values = values or {}

    def __call__(self, tree: Tree) -> Value:
        """The value: a fraction, a number of mpmath, or a matrix of them.

        Raises:
            Undefined: there is none here.
            TooLarge: it is beyond any bound.
        """
        if isinstance(tree, Number):
            return tree.value
        if isinstance(tree, Symbol):
            return self._symbol(tree.name)
        if tree.name == "matrix":
            return self._matrix(tree)
        if tree.name == "apply":
            return self._unknown_function(tree)
        args = [self(one) for one in tree.args]
        if any(isinstance(one, Matrix) for one in args):
            return args[0] if tree.name == "degrees" else calculate(tree.name, args, self)
        if tree.name in TRIGONOMETRIC and _in_degrees(tree.args[0]):
            args = [self.real(args[0]) * self.mp().pi / 180]
        try:
            operation = _OPERATIONS.get(tree.name)
            return self.function(tree.name, *args) if operation is None else operation(self, *args)
        except (ZeroDivisionError, OverflowError, ArithmeticError, TypeError) as error:
            raise Undefined(str(error)) from error

    def _symbol(self, name: str) -> Scalar:
        if name == "e":
            return +self.mp().e
        if name == "i":
            return self.mp().mpc(0, 1)
        return self.values[name]

    def _matrix(self, tree: Call) -> Value:
        rows = tuple(tuple(self(cell) for cell in row.args) for row in tree.args if isinstance(row, Call))
        if not rows or len({len(row) for row in rows}) != 1 or any(isinstance(c, Matrix) for row in rows for c in row):
            raise Undefined("rows of different lengths")
        return Matrix(rows)

    def _unknown_function(self, tree: Call) -> Scalar:
        """A number that depends on the function's name and its arguments' values alone."""
        head, *args = tree.args
        name = head.name if isinstance(head, Symbol) else ""
        said = [self.mp().nstr(self.real(self(one)), 25) for one in args]
        return _drawn(name, said, self.values.get(name))

    def set_of(self, name: str, args: Sequence[Scalar]) -> Scalar:
        """A number that depends on a function's name and the set of its arguments alone."""
        return _drawn(name, sorted(self.mp().nstr(self.real(one), 25) for one in args))


def _drawn(*of: object) -> Fraction:
    """A fraction between 0 and 4, the same for the same things everywhere."""
    return Fraction(int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:3], "big") + 1, 1 << 22)


def _in_degrees(tree: Tree) -> bool:
    """Whether a degree sign stands in `tree`: then all of it is in degrees."""
    return isinstance(tree, Call) and (tree.name == "degrees" or any(map(_in_degrees, tree.args)))


def _extreme(name: str, pick: Callable[..., Any]) -> Callable[..., Scalar]:
    def call(self: Evaluator, *args: Scalar) -> Scalar:
        if self.values:  # which of unknowns is the least, a few points cannot tell: the set of them counts
            return self.set_of(name, args)
        if not all(map(self.is_real, args)):
            raise Undefined("an order of complex numbers")
        return pick(args) if all(isinstance(one, Fraction) for one in args) else pick(map(self.real, args))

    return call


def _divisor(name: str, pick: Callable[..., int]) -> Callable[..., Scalar]:
    def call(self: Evaluator, *args: Scalar) -> Scalar:
        if all(isinstance(one, Fraction) and one.denominator == 1 for one in args):
            return Fraction(pick(*(int(one) for one in args)))
        return self.set_of(name, args)

    return call


_OPERATIONS: dict[str, Callable[..., Scalar]] = {
    "add": Arithmetic.add,
    "mul": Arithmetic.multiply,
    "div": Arithmetic.divide,
    "segment": Arithmetic.multiply,
    "neg": lambda self, one: -one,
    "degrees": lambda self, one: one,  # they matter inside trigonometric functions alone
    "pow": Arithmetic.power,
    "root": Arithmetic.root,
    "abs": lambda self, one: abs(one),
    "factorial": Arithmetic.factorial,
    "binomial": Arithmetic.binomial,
    "log": Arithmetic.log,
    "ln": Arithmetic.ln,
    "lg": lambda self, one: self.log(one, Fraction(10)),
    "exp": Arithmetic.exp,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "gcd": _divisor("gcd", math.gcd),
    "lcm": _divisor("lcm", math.lcm),
    "floor": lambda self, one: self.rounded(one, down=True),
    "ceil": lambda self, one: self.rounded(one, down=False),
    "pi": lambda self: +self.mp().pi,
    "infty": lambda self: self.mp().inf,
}
