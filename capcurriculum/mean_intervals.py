"""95 % intervals of means over rows, for few rows and for many.

The bootstrap resamples rows (Efron and Tibshirani 1993, ch. 13). Where rows hardly differ it has nothing to draw: of
seven equal differences it says that the mean is known exactly. So where there are few rows, or few that are unlike
the others, intervals are the bounds of Gaffke (2005, Math. Methods Statist. 14:451-467; see also Learned-Miller and
Thomas 2019, arXiv 1905.06208) for means of values that are bounded: rows get random weights, those of the Bayesian
bootstrap, and one more row is added that has the least possible value for the lower end, the largest for the upper.

For a share these are the ends of Clopper and Pearson (1934), which are exact. For the difference of two models that
reply once a row, the interval excludes zero where McNemar's exact test has p < 0.05 (up to the error of the draws), and
it holds the truth in 95 % of samples or more (the tests count over all samples there are). For other values it was
conservative wherever it was tried; a proof is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

DRAWS = 10_000
#: The least number of rows, and of rows that are unlike the most frequent one, whose bootstrap holds the truth in about
#: 95 % of samples.
ROWS, UNLIKE = 50, 10
_ENDS = (0.025, 0.975)
#: Draws for each one that is kept, so that an end is where it should be: few values make its distribution coarse.
_FINER = 10
#: Numbers drawn at once, so that a large benchmark needs no more memory than a small one.
_CHUNK = 200_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws of a mean, each of shape (draws,): a quantile of `low` is the lower end, one of `high` the upper."""

    low: Numbers
    high: Numbers


def bootstraps(values: Numbers) -> bool:
    """Whether the bootstrap is used for the mean of `values`, of shape (rows,)."""
    if len(values) < ROWS:
        return False
    # Differences of thirds that are equal may differ in their last bits.
    _, counts = np.unique(values.round(9), return_counts=True)
    return bool(len(values) - counts.max() >= UNLIKE)


def drawn(values: Numbers, bounds: tuple[float, float], draws: int = DRAWS, seed: int = 0) -> Drawn:
    """Draws of the mean of `values`, of shape (rows,), which lie within `bounds`."""
    if bootstraps(values):
        means = bootstrap(values, draws, seed)
        return Drawn(means, means)
    random = np.random.default_rng(seed)
    points, counts = np.unique(values.round(9), return_counts=True)
    weights = random.standard_gamma(counts, size=(_FINER * draws, len(points)))
    added = random.standard_exponential(_FINER * draws)
    sums, whole = weights @ points, weights.sum(axis=1) + added
    low, high = (np.sort((sums + bound * added) / whole)[_FINER // 2 :: _FINER] for bound in bounds)
    order = random.permutation(draws)  # so that those of several means are independent
    return Drawn(low[order], high[order])


def interval(parts: Sequence[Drawn]) -> tuple[float, float]:
    """The 95 % interval of the unweighted mean of the means of `parts`."""
    low, high = (np.mean(means, axis=0) for means in ([one.low for one in parts], [one.high for one in parts]))
    return float(np.quantile(low, _ENDS[0])), float(np.quantile(high, _ENDS[1]))


def too_few(rows: int, low: float, high: float) -> bool:
    """Whether an interval holds zero and is of so few rows that this says little; under 6 rows none excludes it."""
    return rows < ROWS and low <= 0 <= high


def bootstrap(values: Numbers, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Means over `draws` samples with replacement of the rows of `values`, of shape (draws, *values.shape[1:])."""
    random = np.random.default_rng(seed)
    count = len(values)
    step = max(1, _CHUNK // count)
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    # Several draws at a time give the same numbers as one after the other, in a fraction of the time.
    return np.concatenate([values[random.integers(count, size=(size, count))].mean(axis=1) for size in sizes])
