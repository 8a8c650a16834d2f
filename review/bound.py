"""The most wrong keys that a sample leaves possible, and the smallest sample that can show few of them.

Exact, for a sample drawn without replacement from a finite set of rows: the largest number of wrong ones under which so
few would be found in more than 5 % of all samples (Katz 1953, JASA 48:256-261).
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Looked:
    """A stratum: its `rows`, how many of them were `drawn` at random and looked at, and how many `found` wrong."""

    rows: int
    drawn: int
    found: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A sample of `drawn` rows shows what it shall if at most `allowed` of them are wrong, which has this `chance`."""

    drawn: int
    allowed: int
    chance: float


def most_left(strata: Sequence[Looked]) -> int:
    """The most wrong rows among those that were not looked at, over all strata together, at 95 %.

    A stratum that was looked at as a whole has none left; of one that nobody looked at all rows may be wrong. Several
    strata have the 95 % quantile of the sum of their confidence distributions, which is on the safe side.
    """
    unseen = sum(one.rows for one in strata if not one.drawn)
    partly = [one for one in strata if 0 < one.drawn < one.rows]
    return unseen + (_one(partly[0]) if len(partly) == 1 else _together(partly))


def _one(stratum: Looked) -> int:
    others = range(stratum.rows - stratum.drawn)
    return bisect_left(others, True, key=lambda left: _chance(stratum, left) <= 1 - LEVEL)


def _together(strata: Sequence[Looked]) -> int:
    import numpy as np
    from scipy.signal import fftconvolve

    total = np.ones(1)
    for stratum in strata:
        at_most = 1 - _chance(stratum, np.arange(stratum.rows - stratum.drawn))
        total = fftconvolve(total, np.diff(at_most, prepend=0.0, append=1.0))
    return int(np.argmax(np.cumsum(total) >= LEVEL - 1e-9))


def _chance(stratum: Looked, left: Any) -> Any:
    """The chance that so few are found if one more than `left` of the other rows are wrong; numbers or arrays."""
    from scipy.stats import hypergeom

    return hypergeom.cdf(stratum.found, stratum.rows, stratum.found + left + 1, stratum.drawn)


def smallest(rows: int, target: float, expected: float) -> Plan | None:
    """The smallest random sample that shows at most the share `target` if as many rows are wrong as `expected` says.

    What is found is corrected or left out, so the share is that of the rows left. None if only all rows would do.
    """
    found = _plans(rows, target, expected)
    return next((plan for plan in found if math.ceil(plan.drawn * expected - 1e-9) <= plan.allowed), None)


def sure(rows: int, target: float, expected: float, chance: float = 0.9) -> Plan | None:
    """The smallest random sample that shows it with this chance; None if only all rows would do."""
    return next((plan for plan in _plans(rows, target, expected) if plan.chance >= chance), None)


def _plans(rows: int, target: float, expected: float) -> Iterator[Plan]:
    """For 0, 1, ... rows found wrong, the smallest sample that shows the target nevertheless."""
    from scipy.stats import hypergeom

    for allowed in range(rows):
        tried = range(allowed + 1, rows)
        at = bisect_left(tried, True, key=lambda drawn: _share(rows, drawn, allowed) <= target)
        if at == len(tried):
            return
        yield Plan(tried[at], allowed, float(hypergeom.cdf(allowed, rows, round(rows * expected), tried[at])))


def _share(rows: int, drawn: int, found: int) -> float:
    return most_left([Looked(rows, drawn, found)]) / (rows - found)
