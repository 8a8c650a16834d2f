"""Statistics that every room shares: pass rates, the Wilson score interval, and paired comparisons of models.

Unknown is not wrong: a reply that was truncated, has no readable answer or never came says nothing of how hard a row
is, so a pass rate counts right and wrong replies alone and states the others beside it. Everything that needs one takes
it from here: filters, early stopping, orders, stage files, the report, samples for people.

Rows differ far more in difficulty than models do, so two models are compared row by row, and intervals
(`mean_intervals`) are over whole rows, since replies to one row are not independent. This holds for any number of
replies a row.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from capcurriculum import mean_intervals
from capcurriculum.mean_intervals import DRAWS, Drawn, Numbers
from capcurriculum.rows import Outcome, Purpose

Z_95 = 1.959963984540054
#: The bounds of a difference in accuracy.
_DIFFERENCE = (-1.0, 1.0)


@overload
def wilson(k: float, n: float, z: float = Z_95) -> tuple[float, float]: ...
@overload
def wilson(k: npt.NDArray[Any], n: npt.NDArray[Any], z: float = Z_95) -> tuple[Numbers, Numbers]: ...
def wilson(k: Any, n: Any, z: float = Z_95) -> tuple[Any, Any]:
    """Wilson score interval for a binomial proportion (Wilson 1927, JASA 22:209-212).

    Args:
        k: successes, a number or an array; need not be whole.
        n: trials, positive, of the same shape.
        z: quantile of the standard normal distribution; the default gives 95 %.

    Returns:
        The lower and the upper end, each of the shape of `k`.
    """
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    # At the ends the formula gives 0 and 1 exactly, and floating point nearly so.
    low, high = np.where(k == 0, 0.0, centre - half), np.where(k == n, 1.0, centre + half)
    return (low, high) if low.ndim else (float(low), float(high))


def pass_rate(k: Any, n: Any) -> Any:
    """The share of right replies, `k` / `n`, of numbers, arrays, polars series or expressions alike.

    Where `n` is 0 there is none: `ZeroDivisionError` for numbers, NaN elsewhere.
    """
    return k / n


@dataclass(frozen=True, slots=True)
class PassRate:
    """`k` right of `n` readable replies; `unreadable` came and could not be read, `failed` never came or broke."""

    k: int = 0
    n: int = 0
    unreadable: int = 0
    failed: int = 0

    @staticmethod
    def of(outcomes: Iterable[str]) -> "PassRate":
        """The pass rate over the outcomes of one row's replies."""
        counts = Counter(outcomes)
        right, wrong = counts[Outcome.RIGHT], counts[Outcome.WRONG]
        return PassRate(right, right + wrong, counts[Outcome.UNPARSED], counts[Outcome.FAILED])

    @property
    def asked(self) -> int:
        """Number of replies, readable or not."""
        return self.n + self.unreadable + self.failed

    @property
    def rate(self) -> float:
        """k / n; raises `ZeroDivisionError` without a readable reply."""
        return float(pass_rate(self.k, self.n))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of the rate."""
        return wilson(self.k, self.n)

    def measured(self, readable: float) -> bool:
        """Whether at least one reply, and at least the share `readable` of all, could be read."""
        return self.n > 0 and self.n >= readable * self.asked

    def __str__(self) -> str:
        unknown = {"unreadable": self.unreadable, "failed": self.failed}
        return ", ".join([f"{self.k} of {self.n}", *(f"{count} {word}" for word, count in unknown.items() if count)])


def pass_counts(
    answers: pl.LazyFrame,
    row: pl.Expr | None = None,
    dtype: type[pl.DataType] = pl.Int64,
    purpose: Purpose = Purpose.ROLLOUT,
) -> pl.LazyFrame:
    """`PassRate` over a table of answers: one line for each row that has rollouts.

    Args:
        answers: columns `question_id`, `purpose` and `outcome`; answers of other purposes are left out.
        row: what names a row, `question_id` by default.
        dtype: of the counts.
        purpose: of the answers that are counted.

    Returns:
        The column that `row` gives, and `k`, `n`, `unreadable` and `failed`.
    """
    number = {outcome: (pl.col("outcome") == outcome.value).sum() for outcome in Outcome}
    counts = {
        "k": number[Outcome.RIGHT],
        "n": number[Outcome.RIGHT] + number[Outcome.WRONG],
        "unreadable": number[Outcome.UNPARSED],
        "failed": number[Outcome.FAILED],
    }
    rollouts = answers.filter(pl.col("purpose") == purpose.value)
    rows = rollouts.group_by(pl.col("question_id") if row is None else row)
    return rows.agg(**{name: expression.cast(dtype) for name, expression in counts.items()})


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean difference in accuracy over `rows`, with the ends of its 95 % interval (`mean_intervals`)."""

    rows: int
    mean: float
    low: float
    high: float

    @property
    def too_few(self) -> bool:
        """Whether there are too few rows to tell a gain from a loss."""
        return mean_intervals.too_few(self.rows, self.low, self.high)

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two mean lengths over `rows`, with its 95 % percentile interval over bootstrap draws.

    Lengths have no bounds, so that for few rows there is no interval: `low` and `high` are None.
    """

    rows: int
    ratio: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Discordant:
    """Rows that only one of two models has right, and the two-sided p-value of McNemar's exact test."""

    only_before: int
    only_after: int
    p: float


def gain(before: Mapping[str, float], after: Mapping[str, float], draws: int = DRAWS, seed: int = 0) -> Gain:
    """What `after` gains over `before`, paired by row.

    Both map a row to its share of right replies.

    Raises:
        ValueError: they are not about the same rows, or about none.
    """
    if before.keys() != after.keys() or not before:
        raise ValueError("a paired comparison needs the same rows on both sides")
    rows = sorted(before)
    return mean_gain([np.array([after[row] - before[row] for row in rows])], draws, seed)


def mean_gain(parts: Sequence[Numbers], draws: int = DRAWS, seed: int = 0) -> Gain:
    """The unweighted mean over benchmarks of the mean differences of their rows.

    Rows are drawn inside each benchmark, since which benchmarks there are is no accident. `parts` holds an array of
    differences, shape (rows,), for each of them: at least one, and none of them empty.
    """
    return gain_of(parts, [differences_drawn(part, draws, seed + place) for place, part in enumerate(parts)])


def differences_drawn(differences: Numbers, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """Draws of the mean of differences in accuracy, of shape (rows,), for `gain_of`."""
    return mean_intervals.drawn(differences, _DIFFERENCE, draws, seed)


def gain_of(parts: Sequence[Numbers], drawn: Sequence[Drawn]) -> Gain:
    """As `mean_gain`, from the `differences_drawn` of each part."""
    mean = sum(float(part.mean()) for part in parts) / len(parts)
    return Gain(sum(map(len, parts)), mean, *mean_intervals.interval(drawn))


def ratio_of(parts: Sequence[Numbers], drawn: Sequence[Numbers]) -> Ratio | None:
    """Mean length of the second column over that of the first, both lengths of a row being resampled together.

    Args:
        parts: an array of shape (rows, 2) for each benchmark, each of which counts as much, as in `mean_gain`.
        drawn: the `bootstrap` means of each part, of shape (draws, 2).

    Returns:
        The ratio; None where the first mean is 0, so that there is none.
    """
    mean = np.mean([part.mean(axis=0) for part in parts], axis=0)
    if not mean[0]:
        return None
    rows, ratio = sum(map(len, parts)), float(mean[1] / mean[0])
    if min(map(len, parts)) < mean_intervals.ROWS:
        return Ratio(rows, ratio, None, None)
    means = np.mean(drawn, axis=0)
    means = means[means[:, 0] > 0]
    low, high = np.quantile(means[:, 1] / means[:, 0], [0.025, 0.975])
    return Ratio(rows, ratio, float(low), float(high))


def mcnemar(before: Mapping[str, bool], after: Mapping[str, bool]) -> Discordant:
    """McNemar's exact test (McNemar 1947, Psychometrika 12:153-157) on one reply a row.

    Under the null hypothesis the rows that only one model has right are binomial with 1/2.

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
    """P-values adjusted for multiple testing (Holm 1979, Scand. J. Statist. 6:65-70), in the order given."""
    found = [1.0] * len(values)
    least = 0.0
    for place, number in enumerate(sorted(range(len(values)), key=lambda number: values[number])):
        least = max(least, min(1.0, (len(values) - place) * values[number]))
        found[number] = least
    return found
