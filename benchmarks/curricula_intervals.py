"""Means of many trainings on many rows, with intervals over both.

A table holds a line for each training (seed) and a column for each row. Drawn anew are whole trainings and whole rows
(Efron and Tibshirani 1993, ch. 13), so that an interval speaks of other seeds and of other rows; with one training it
speaks of rows alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DRAWS = 5000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2

    @property
    def percent(self) -> str:
        """As a share."""
        return f"{100 * self.mean:.1f} % ({100 * self.low:.1f}-{100 * self.high:.1f})"

    @property
    def points(self) -> str:
        """As a difference."""
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def table(rates: Sequence[Mapping[str, float]]) -> Numbers:
    """A line for each training's rates by row, the rows in one order."""
    return np.array([[own[row] for row in sorted(rates[0])] for own in rates])


def interval(tables: Sequence[Numbers]) -> Interval:
    """The mean of the tables' means; the trainings drawn are the same in all tables, the rows are each table's own."""
    trainings = _drawn(len(tables[0]), 0)
    means = [
        ((trainings @ one) * _drawn(one.shape[1], 1 + place)).sum(axis=1) / one.size for place, one in enumerate(tables)
    ]
    low, high = np.quantile(np.mean(means, axis=0), [0.025, 0.975])
    return Interval(float(np.mean([one.mean() for one in tables])), float(low), float(high))


@lru_cache(maxsize=8)
def _drawn(size: int, seed: int) -> Numbers:
    """How often each of `size` was drawn, (DRAWS, size)."""
    random = np.random.default_rng(seed)
    return random.multinomial(size, np.full(size, 1 / size), DRAWS).astype(np.float64)
