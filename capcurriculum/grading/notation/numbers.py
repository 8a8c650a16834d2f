r"""Numbers written in digits, read exactly, and when two of them are equal.

Most gold answers of public sets are such numbers, so they are settled here in microseconds.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_THOUSANDS = r"\d{1,3}(?:,\d{3})+"
_NUMBER = re.compile(
    rf"^([-+]?) ?(?:({_THOUSANDS}|\d{{1,200}})?(?:\.(\d{{0,200}}))?(?:[eE]([-+]?\d{{1,3}})"
    r"| ?(?:\\times|\\cdot|\*) ?10\^(?:\{(-?\d{1,3})\}|(-?\d{1,3})))?"
    r"|\\frac\{([-+]?\d{1,100})\}\{(\d{1,100})\}|(\d{1,100}) ?/ ?(\d{1,100})"
    r"|(\d{1,100}) ?\\frac\{(\d{1,100})\}\{(\d{1,100})\}|(\d{1,100}) (\d{1,100})/(\d{1,100}))$"
)
#: Two numbers written in digits are equal to so many places: the noise of floating point, never of rounding.
_NOISE = Fraction(1, 10**9)
#: A decimal for a number that has no finite one (1/3, a root): to a millionth.
ROUNDED = Fraction(1, 10**6)


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value; `decimal` says that it was written with a decimal point or an exponent."""

    value: Fraction
    decimal: bool


def read(text: str) -> Number | None:
    r"""A cleaned text as a number: integers, decimals, `1,000`, `1e3`, `2\times10^3`, `a/b`, fractions, `3\frac12`.

    None for all else, for `12/05` (a date) and for a denominator of zero.
    """
    found = _NUMBER.match(text)
    if not found:
        return None
    sign, whole, digits, e, braced, bare, top, bottom, left, right, full, up, down, full2, up2, down2 = found.groups()
    if whole is not None or digits:
        power = int(e or braced or bare or 0)
        value = Fraction(int((whole or "0").replace(",", "") + (digits or "")), 10 ** len(digits or ""))
        value = value * 10**power if power >= 0 else value / 10**-power
        decimal = (digits is not None and digits != "") or power != 0
    else:
        wholes, above, below = full or full2 or "0", top or left or up or up2, bottom or right or down or down2
        if above is None or int(below) == 0 or (left and right.startswith("0")):
            return None
        if wholes != "0" and int(above) >= int(below):
            return None
        value, decimal = int(wholes) + Fraction(int(above), int(below)), False
    return Number(-value if sign == "-" else value, decimal)


def finite(value: Fraction) -> bool:
    """Whether `value` has a finite decimal expansion."""
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def equal(one: Fraction, other: Fraction, *, decimal: bool) -> bool:
    """Equality, exact unless a decimal was written.

    A decimal equals a number with a finite expansion but for floating-point noise (1e-9 of it, at most 1e-6), and a
    number without one to a millionth of its size. Zero equals zero alone.
    """
    if one == other:
        return True
    if not decimal or (one.denominator == 1 and other.denominator == 1):
        return False
    size = max(abs(one), abs(other))
    noise = min(size, Fraction(1000)) * _NOISE
    return abs(one - other) <= (noise if finite(one) and finite(other) else size * ROUNDED)
