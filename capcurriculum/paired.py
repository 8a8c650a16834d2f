"""How much better one model is than another on the same rows, and how sure that is.

Rows differ far more in difficulty than models do, so the two are compared row by row, and the interval comes from
drawing whole rows anew: replies to one row are not independent. Holds for any number of replies a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 10_000
#: Numbers drawn at once, so that a large benchmark needs no more memory than a small one.
_CHUNK = 200_000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean difference in accuracy over `rows`, with the ends of its 95 % percentile interval over bootstrap draws."""

    rows: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two mean lengths over `rows`, with a 95 % interval as in `Gain`."""

    rows: int
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Discordant:
    """Rows that only one of two models has right, and the two-sided p-value of McNemar's exact test."""

    only_before: int
    only_after: int
    p: float


def gain(before: Mapping[str, float], after: Mapping[str, float], draws: int = DRAWS, seed: int = 0) -> Gain:
    """What `after` gains over `before`, each the share of right replies by row (Efron and Tibshirani 1993, ch. 13).

    Raises:
        ValueError: they are not about the same rows, or about none.
    """
    if before.keys() != after.keys() or not before:
        raise ValueError("a paired comparison needs the same rows on both sides")
    rows = sorted(before)
    return mean_gain([np.array([after[row] - before[row] for row in rows])], draws, seed)


def mean_gain(parts: Sequence[Numbers], draws: int = DRAWS, seed: int = 0) -> Gain:
    """The mean over several benchmarks, each as much, of the mean differences of their rows.

    Rows are drawn inside each benchmark, since which benchmarks there are is no accident. `parts` holds an array of
    differences for each of them, at least one and none of them empty.
    """
    return gain_of(parts, [bootstrap(part, draws, seed + place) for place, part in enumerate(parts)])


def gain_of(parts: Sequence[Numbers], drawn: Sequence[Numbers]) -> Gain:
    """As `mean_gain`, from the bootstrap means of each part."""
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    mean = sum(float(part.mean()) for part in parts) / len(parts)
    return Gain(sum(map(len, parts)), mean, float(low), float(high))


def length_ratio(parts: Sequence[Numbers], draws: int = DRAWS, seed: int = 0) -> Ratio | None:
    """Mean length of the second column over that of the first, both lengths of a row being drawn together.

    `parts` holds an array of shape (rows, 2) for each benchmark; each counts as much, as in `mean_gain`. None where
    the first mean is 0, so that there is no ratio.
    """
    return ratio_of(parts, [bootstrap(part, draws, seed + place) for place, part in enumerate(parts)])


def ratio_of(parts: Sequence[Numbers], drawn: Sequence[Numbers]) -> Ratio | None:
    """As `length_ratio`, from the bootstrap means of each part."""
    mean = np.mean([part.mean(axis=0) for part in parts], axis=0)
    if not mean[0]:
        return None
    means = np.mean(drawn, axis=0)
    means = means[means[:, 0] > 0]
    low, high = np.quantile(means[:, 1] / means[:, 0], [0.025, 0.975])
    return Ratio(sum(map(len, parts)), float(mean[1] / mean[0]), float(low), float(high))


def bootstrap(values: Numbers, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Means over `draws` samples with replacement of the rows of `values`, of shape (draws, *values.shape[1:])."""
    random = np.random.default_rng(seed)
    count = len(values)
    step = max(1, _CHUNK // count)
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    # Several draws at a time give the same numbers as one after the other, in a fraction of the time.
    return np.concatenate([values[random.integers(count, size=(size, count))].mean(axis=1) for size in sizes])


def mcnemar(before: Mapping[str, bool], after: Mapping[str, bool]) -> Discordant:
    """McNemar's test in its exact form: of the rows that one model alone has right, each has as many if both are alike.

    McNemar 1947, Psychometrika 12:153-157; the exact form is a sign test, binomial with 1/2. It knows one reply a row.

    Raises:
        ValueError: they are not about the same rows.
    """
    from scipy.stats import binomtest

    if before.keys() != after.keys():
        raise ValueError("a paired comparison needs the same rows on both sides")
    lost = sum(before[row] and not after[row] for row in before)
    won = sum(after[row] and not before[row] for row in before)
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Discordant(lost, won, p)


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for how many there are (Holm 1979, Scand. J. Statist. 6:65-70), in the order given."""
    found = [1.0] * len(values)
    least = 0.0
    for place, number in enumerate(sorted(range(len(values)), key=lambda number: values[number])):
        least = max(least, min(1.0, (len(values) - place) * values[number]))
        found[number] = least
    return found
