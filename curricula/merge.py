"""Merge streams of rows so that every stretch of the result holds each stream in its proportion."""

import numpy as np

from curricula.keys import Indices, Numbers


def ranks(codes: Numbers) -> Indices:
    """For every entry, how many earlier entries have the same code."""
    by_code = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    found = np.empty(len(codes), dtype=np.int64)
    found[by_code] = np.arange(len(codes)) - np.repeat(starts, sizes)
    return found


def interleave(codes: Numbers, weights: Numbers) -> Indices:
    """Places that put the rows in proportion to the `weights` of their codes, rows of one code in the order they had.

    The j-th row of a code comes at time (j + 1/2) / weight. As long as no code has run out, a prefix of t rows holds
    t * w / W of a code, give or take (1 + w / W * codes) / 2 rows; when one has, the others go on in their proportions.
    """
    times = (ranks(codes) + 0.5) / weights[codes]
    return np.asarray(np.lexsort((codes, times)))


def balance(codes: Numbers, batch: int) -> Indices:
    """Places that cut the rows into batches, each holding every code's share of the whole to within one row.

    Systematic sampling: the codes are laid on a line of length `batch`, each as long as its share, and a batch takes
    what lies at its offset and every whole step after it. Offsets are evenly spread, so the codes run out together;
    the rest that fills no batch comes last. Rows of one code stay in the order they had, inside a batch all rows do.
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
    """How many of a batch's points lie among the first `before` rows' share of the line, for every batch.

    floor(batch * before / total - offset / (2 * batches)), in whole numbers.
    """
    whole, rest = divmod(batch * before, total)
    return whole + (rest * 2 * batches - offset * total) // (total * 2 * batches)


def _stride(batches: int) -> int:
    """A step near the golden section of `batches` without a common divisor, so that neighbours differ much."""
    step = max(1, round(batches * 0.6180339887498949))
    while np.gcd(step, batches) > 1:
        step += 1
    return int(step)
