"""Merge streams of rows so that every window of the result holds each stream in its proportion."""

import numpy as np

from curricula.keys import Indices, Numbers


def ranks(codes: Numbers) -> Indices:
    """For every entry the number of earlier entries with the same code."""
    by_code = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    found = np.empty(len(codes), dtype=np.int64)
    found[by_code] = np.arange(len(codes)) - np.repeat(starts, sizes)
    return found


def interleave(codes: Numbers, weights: Numbers) -> Indices:
    """A permutation that mixes rows in proportion to the `weights` of their codes; stable within a code.

    The j-th row of a code comes at time (j + 1/2) / weight. While no code is exhausted, a prefix of t rows holds
    t * w / W rows of a code, up to (1 + w / W * codes) / 2; afterwards the others keep their proportions.
    """
    times = (ranks(codes) + 0.5) / weights[codes]
    return np.asarray(np.lexsort((codes, times)))


def balance(codes: Numbers, batch: int) -> Indices:
    """A permutation into batches that each hold every code's share of all rows to within one row.

    Systematic sampling: the codes are intervals on a line of length `batch`, as long as their shares, and a batch takes
    the points at its offset plus every whole number. Offsets are evenly spread, so the codes run out together; an
    incomplete batch comes last. Stable within a code and within a batch.
    """
    total, batches = len(codes), len(codes) // batch
    if not batches:
        return np.arange(total)
    stride = _stride(batches)
    offset = 2 * (np.arange(batches, dtype=np.int64) * stride % batches) + 1  # in units of 1 / (2 * batches)
    place, rank, before = np.empty(total, dtype=np.int64), ranks(codes), 0
    lower = _points(before, batch, batches, total, offset)
    for code, size in enumerate(np.bincount(codes).tolist()):
        upper = _points(before := before + size, batch, batches, total, offset)
        mine = codes == code
        place[mine] = np.searchsorted(np.cumsum(upper - lower), rank[mine], side="right")
        lower = upper
    return np.argsort(place, kind="stable")


def _points(before: int, batch: int, batches: int, total: int, offset: Indices) -> Indices:
    """For every batch the number of its points in the share of the first `before` rows.

    floor(batch * before / total - offset / (2 * batches)), in integers.
    """
    whole, rest = divmod(batch * before, total)
    return whole + (rest * 2 * batches - offset * total) // (total * 2 * batches)


def _stride(batches: int) -> int:
    """A step near the golden section of `batches` and coprime to it, so that neighbouring offsets are far apart."""
    step = max(1, round(batches * 0.6180339887498949))
    while np.gcd(step, batches) > 1:
        step += 1
    return int(step)
