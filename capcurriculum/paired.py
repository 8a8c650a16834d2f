"""How much better one model is than another on the same rows, and how sure that is.

Rows differ far more in difficulty than models do, so the two are compared row by row, and the interval comes from
drawing whole rows anew: replies to one row are not independent. Holds for any number of replies a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean difference in accuracy over `rows`, with the ends of its 95 % percentile interval over bootstrap draws."""

    rows: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def gain(before: Mapping[str, float], after: Mapping[str, float], draws: int = DRAWS, seed: int = 0) -> Gain:
    """What `after` gains over `before`, each the share of right replies by row (Efron and Tibshirani 1993, ch. 13).

    Raises:
        ValueError: they are not about the same rows, or about none.
    """
    if before.keys() != after.keys() or not before:
        raise ValueError("a paired comparison needs the same rows on both sides")
    rows = sorted(before)
    differences = np.array([after[row] - before[row] for row in rows])
    random = np.random.default_rng(seed)
    means = np.array([differences[random.integers(len(rows), size=len(rows))].mean() for _ in range(draws)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Gain(len(rows), float(differences.mean()), float(low), float(high))
