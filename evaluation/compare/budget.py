"""Accuracy at equal length: the share of replies that are right within L tokens, as a function of L.

A(L) is the share of samples whose reply is right and has at most L tokens, as if the server truncated replies at L. A
model that knew of the limit might do better. For the longest reply, A is the accuracy over the same samples. Benchmarks
have equal weight, and only samples whose outcome and length are known for all models count.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from capcurriculum import mean_intervals
from evaluation.compare.pairs import Side, known
from evaluation.results.comparisons import Budget, Curve
from evaluation.results.samples import Sample

#: The most points of a curve.
GRID = 129
DRAWS = 1_000
_Bools = npt.NDArray[np.bool_]


def budget(sides: Sequence[Side], seed: int = 0) -> Budget | None:
    """The curves of all models with pointwise 95 % intervals (`mean_intervals`); None without a common sample."""
    shared = set.intersection(*({*side.replies} for side in sides))
    tables = {name: found for name in sorted(shared) if (found := _table([side.replies[name] for side in sides]))}
    if not tables:
        return None
    lengths = np.concatenate([tokens.ravel() for _, tokens in tables.values()])
    tokens = grid(lengths)
    hits = [right[:, :, None] & (counts[:, :, None] <= tokens) for right, counts in tables.values()]
    mean = sum(one.mean(axis=0) for one in hits) / len(hits)
    below, above = np.mean([_drawn(one, seed + place) for place, one in enumerate(hits)], axis=0)
    low, high = np.quantile(below, 0.025, axis=0), np.quantile(above, 0.975, axis=0)
    curves = tuple(
        Curve(name=side.model.name, accuracy=_percent(mean[i]), low=_percent(low[i]), high=_percent(high[i]))
        for i, side in enumerate(sides)
    )
    return Budget(
        benchmarks=tuple(name for _, name in tables),
        samples=sum(len(one) for one in hits),
        tokens=tuple(tokens.tolist()),
        curves=curves,
    )


def grid(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distinct lengths of replies, or `GRID` quantiles of them if there are more."""
    found = np.unique(lengths).astype(np.int64)
    if len(found) <= GRID:
        return found
    return np.unique(np.quantile(lengths, np.linspace(0, 1, GRID), method="inverted_cdf").astype(np.int64))


def _table(replies: Sequence[Mapping[str, Sample]]) -> tuple[_Bools, npt.NDArray[np.int64]] | None:
    """Whether right, and tokens, each of shape (samples, models), over the samples known for all models."""
    outcomes = [known(one) for one in replies]
    with_length = [
        {key for key in right if one[key].tokens is not None} for right, one in zip(outcomes, replies, strict=True)
    ]
    keys = sorted(set.intersection(*with_length))
    if not keys:
        return None
    right = np.array([[outcome[key] for outcome in outcomes] for key in keys])
    return right, np.array([[one[key].tokens for one in replies] for key in keys], dtype=np.int64)


def _drawn(hits: _Bools, seed: int) -> npt.NDArray[np.float32]:
    """Draws of means for the lower and the upper ends: (samples, models, lengths) -> (2, draws, models, lengths)."""
    random = np.random.default_rng(seed)
    count = len(hits)
    flat = hits.reshape(count, -1).astype(np.float32)
    right = hits.reshape(count, -1).sum(axis=0)
    few = (np.minimum(right, count - right) < mean_intervals.UNLIKE) | (count < mean_intervals.ROWS)
    found = np.empty((2, DRAWS, flat.shape[1]), dtype=np.float32)
    for draw in range(DRAWS):
        found[:, draw] = np.bincount(random.integers(count, size=count), minlength=count).astype(np.float32) @ flat
    found /= np.float32(count)
    for draw in range(DRAWS if few.any() else 0):
        # As `mean_intervals.drawn`, with the same weights at all lengths, so that the ends rise as the curve does.
        weights = random.standard_exponential(count + 1).astype(np.float32)
        weights /= weights.sum()
        found[0, draw, few] = weights[:-1] @ flat[:, few]
        found[1, draw, few] = found[0, draw, few] + weights[-1]
    return found.reshape(2, DRAWS, *hits.shape[1:])


def _percent(shares: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(float(value) for value in np.clip(100 * np.asarray(shares, dtype=float), 0, 100).round(4))
