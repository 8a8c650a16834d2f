"""Arithmetic on exact fractions and on mpmath's numbers of fifty digits, every operation bounded before it is done.

Fractions are kept as long as they are small; what would have more than a few thousand digits goes on rounded, and what
not even a rounded number can hold is `TooLarge`. So no operation takes long, and none depends on the machine's load.
"""

import math
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpmath.ctx_mp import MPContext

DIGITS = 50
_MOST_BITS = 20_000  # of an exact power
_MOST_LOG2 = 1 << 40  # of a rounded one: larger exponents of the exponent cost memory and time
_MOST_FACTORIAL = 1000  # exact; larger ones by the gamma function
_HUGE = 10**15

Scalar = Any  # Fraction, or mpmath's mpf and mpc
_local = threading.local()


class Undefined(ValueError):
    """There is no value here: a division by zero, a logarithm of zero, a matrix of the wrong shape."""


class TooLarge(ValueError):
    """The value is finite and larger than can be held."""


def context(digits: int = DIGITS) -> "MPContext":
    """mpmath with so many digits, this thread's own: its precision is state that threads must not share."""
    from mpmath.ctx_mp import MPContext

    known: dict[int, MPContext] = _local.__dict__.setdefault("contexts", {})
    if digits not in known:
        known[digits] = MPContext()
        known[digits].dps = digits
    return known[digits]


class Arithmetic:
    """Operations, with `digits` digits where they are not exact; `log10` reads a bare log as decimal, else natural."""

    def __init__(self, digits: int = DIGITS, *, log10: bool = True) -> None:
        self.digits, self.log10 = digits, log10

    def mp(self) -> "MPContext":
        """mpmath with this arithmetic's digits."""
        return context(self.digits)

    def real(self, value: Scalar) -> Scalar:
        """`value` as mpmath has it."""
        if isinstance(value, Fraction):
            return self.mp().mpf(value.numerator) / value.denominator
        return value

    def is_real(self, value: Scalar) -> bool:
        """Whether `value` has no imaginary part."""
        return isinstance(value, Fraction) or bool(self.mp().im(value) == 0)

    def add(self, *terms: Scalar) -> Scalar:
        """The sum."""
        total = terms[0]
        for term in terms[1:]:
            total = total + term if _exact(total, term) else self.real(total) + self.real(term)
        return total

    def multiply(self, *factors: Scalar) -> Scalar:
        """The product."""
        total = factors[0]
        for factor in factors[1:]:
            total = total * factor if _exact(total, factor) else self.real(total) * self.real(factor)
        return total

    def divide(self, above: Scalar, below: Scalar) -> Scalar:
        """The quotient.

        Raises:
            Undefined: `below` is zero.
        """
        if below == 0:
            raise Undefined("a division by zero")
        return above / below if _exact(above, below) else self.real(above) / self.real(below)

    def power(self, base: Scalar, exponent: Scalar) -> Scalar:
        """`base` to `exponent`, the principal value where there are several.

        Raises:
            Undefined: zero to a negative power, or a result too small to hold.
            TooLarge: a result of more than 300 billion digits.
        """
        whole = isinstance(exponent, Fraction) and exponent.denominator == 1
        if whole and isinstance(base, Fraction):
            bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
            if base in (0, 1, -1) or bits * abs(exponent) <= _MOST_BITS:
                if base == 0 and exponent < 0:
                    raise Undefined("0 to a negative power")
                return base ** int(exponent)
        mp, low, high = self.mp(), self.real(base), self.real(exponent)
        if low == 0:
            if mp.re(high) <= 0:
                raise Undefined("0 to a power that is not positive")
            return Fraction(0)
        if abs(mp.log(abs(low), 2)) * abs(high) > _MOST_LOG2:
            if abs(low) < 1:
                raise Undefined("a power too small to hold")
            raise TooLarge("a power of more than 300 billion digits")
        return low ** (int(exponent) if whole and abs(exponent) < _HUGE else high)

    def root(self, value: Scalar, order: Scalar) -> Scalar:
        """The root of `order`; of a negative number the real one where the order is odd.

        Raises:
            Undefined, TooLarge: as `power`.
        """
        if order == 0:
            raise Undefined("a root of order 0")
        if isinstance(order, Fraction) and order.denominator == 1 and isinstance(value, Fraction):
            if order.numerator % 2 and value < 0:
                return -self.root(-value, order)
            if order == 2 and value >= 0:
                return self.mp().sqrt(self.real(value))
        return self.power(value, 1 / order)

    def factorial(self, value: Scalar) -> Scalar:
        """`value!`, by the gamma function where it is no small whole number.

        Raises:
            Undefined: of a negative whole number.
            TooLarge: of more than 10^15.
        """
        if isinstance(value, Fraction) and value.denominator == 1:
            if value < 0:
                raise Undefined("factorial of a negative number")
            if value <= _MOST_FACTORIAL:
                return Fraction(math.factorial(int(value)))
        if abs(self.real(value)) > _HUGE:
            raise TooLarge("a factorial of more than 10^16 digits")
        return self.mp().gamma(self.real(value) + 1)

    def binomial(self, above: Scalar, below: Scalar) -> Scalar:
        """The binomial coefficient.

        Raises:
            TooLarge: of numbers above 10^15.
        """
        whole = all(isinstance(one, Fraction) and one.denominator == 1 for one in (above, below))
        if whole and 0 <= below <= above <= _MOST_FACTORIAL * 10 and min(below, above - below) <= _MOST_FACTORIAL:
            return Fraction(math.comb(int(above), int(below)))
        if max(abs(self.real(above)), abs(self.real(below))) > _HUGE:
            raise TooLarge("a binomial coefficient of more than 10^15 digits")
        return self.mp().binomial(self.real(above), self.real(below))

    def log(self, value: Scalar, base: Scalar | None = None) -> Scalar:
        """The logarithm; without a base as `log10` says.

        Raises:
            Undefined: of zero, or to the base 0 or 1.
        """
        if value == 0 or base in (0, 1):
            raise Undefined("a logarithm that does not exist")
        mp = self.mp()
        if base is None:
            return mp.log10(self.real(value)) if self.log10 else mp.log(self.real(value))
        return mp.log(self.real(value)) / mp.log(self.real(base))

    def ln(self, value: Scalar) -> Scalar:
        """The natural logarithm.

        Raises:
            Undefined: of zero.
        """
        if value == 0:
            raise Undefined("a logarithm of zero")
        return self.mp().log(self.real(value))

    def exp(self, value: Scalar) -> Scalar:
        """Euler's number to `value`; raises as `power`."""
        return self.power(+self.mp().e, value)

    def rounded(self, value: Scalar, *, down: bool) -> Scalar:
        """Floor or ceiling."""
        if isinstance(value, Fraction):
            return Fraction(math.floor(value) if down else math.ceil(value))
        return self.mp().floor(value) if down else self.mp().ceil(value)

    def function(self, name: str, value: Scalar) -> Scalar:
        """A function of the table `FUNCTIONS`.

        Raises:
            Undefined: it is none, has no value there, or the argument is too large for its period to be found.
        """
        function = FUNCTIONS.get(name)
        if function is None:
            raise Undefined(name)
        if abs(self.real(value)) > _HUGE:
            raise Undefined("an argument too large for its period or its exponential to be found")
        return function(self.mp(), self.real(value))


def _exact(one: Scalar, other: Scalar) -> bool:
    """Whether both are fractions small enough to go on exactly."""
    if not (isinstance(one, Fraction) and isinstance(other, Fraction)):
        return False
    parts = (one.numerator, one.denominator, other.numerator, other.denominator)
    return sum(part.bit_length() for part in parts) <= 3 * _MOST_BITS


TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
FUNCTIONS: dict[str, Callable[[Any, Scalar], Scalar]] = {
    "sin": lambda mp, x: mp.sin(x),
    "cos": lambda mp, x: mp.cos(x),
    "tan": lambda mp, x: mp.tan(x),
    "cot": lambda mp, x: mp.cot(x),
    "sec": lambda mp, x: mp.sec(x),
    "csc": lambda mp, x: mp.csc(x),
    "sinh": lambda mp, x: mp.sinh(x),
    "cosh": lambda mp, x: mp.cosh(x),
    "tanh": lambda mp, x: mp.tanh(x),
    "arcsin": lambda mp, x: mp.asin(x),
    "arccos": lambda mp, x: mp.acos(x),
    "arctan": lambda mp, x: mp.atan(x),
    "arccot": lambda mp, x: mp.acot(x),
    "arcsec": lambda mp, x: mp.asec(x),
    "arccsc": lambda mp, x: mp.acsc(x),
}
