"""All pairs of 64-bit hashes within a Hamming distance, exact and without all-pairs comparison.

The bits are cut into `distance` + k blocks. By the pigeonhole principle two hashes within the distance agree in at
least k blocks, so for every choice of k blocks the hashes with equal keys are compared. A larger k means more choices
and far fewer comparisons.
"""

from collections.abc import Iterator
from itertools import combinations, pairwise
from math import comb

import numpy as np

from filters.corpus.duplicates.shared_keys import Pairs
from filters.corpus.text_hashes import Hashes, mixed

_BITS = 64
#: Cost of sorting and looking up one row, in comparisons.
_LOOK_UP = 30
_CHUNK = 4_000_000


def near(left: Hashes, right: Hashes, distance: int, scopes: tuple[Hashes, Hashes] | None = None) -> Iterator[Pairs]:
    """Indices into `left` and `right` of every pair within `distance` bits, each once, in batches.

    With `scopes`, a number for each left and each right hash, only pairs of equal scope are found. Time grows with the
    number of hashes of a scope that agree in a choice of blocks; memory does not.
    """
    if not len(left) or not len(right):
        return
    masks = _masks(distance, max(len(left), len(right)))
    for place, mask in enumerate(masks):
        for one, two in _equal_under(left, right, mask, scopes):
            differing = left[one] ^ right[two]
            close = np.bitwise_count(differing) <= distance
            if scopes is not None:
                close &= scopes[0][one] == scopes[1][two]
            one, two, differing = one[close], two[close], differing[close]
            # A pair that agrees in an earlier choice was yielded there.
            new = np.ones(len(one), bool)
            for earlier in masks[:place]:
                new &= (differing & earlier) != 0
            yield one[new], two[new]


def _masks(distance: int, rows: int) -> list[np.uint64]:
    """The choices of blocks as bit masks, with the cheapest k."""
    kept = min(range(1, 5), key=lambda k: _cost(distance, k, rows))
    edges = [place * _BITS // (distance + kept) for place in range(distance + kept + 1)]
    blocks = [sum(1 << bit for bit in range(low, high)) for low, high in pairwise(edges)]
    return [np.uint64(sum(choice)) for choice in combinations(blocks, kept)]


def _cost(distance: int, kept: int, rows: int) -> float:
    bits = _BITS * kept / (distance + kept)
    return comb(distance + kept, kept) * rows * (_LOOK_UP + float(rows * 2.0**-bits))


def _equal_under(left: Hashes, right: Hashes, mask: np.uint64, scopes: tuple[Hashes, Hashes] | None) -> Iterator[Pairs]:
    """Pairs that agree in the bits of `mask` and, except for rare collisions, in their scopes."""
    wanted, keys = left & mask, right & mask
    if scopes is not None:
        wanted, keys = mixed(wanted ^ scopes[0]), mixed(keys ^ scopes[1])
    order = np.argsort(keys)
    rank = np.argsort(wanted)  # sorted look-ups are cache-friendly
    low = np.searchsorted(keys[order], wanted[rank], "left")
    counts = np.searchsorted(keys[order], wanted[rank], "right") - low
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(rank):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _CHUNK, "right")))
        part = counts[begin:end]
        one = np.repeat(rank[begin:end], part)
        steps = np.arange(len(one)) - np.repeat(np.cumsum(part) - part, part)
        yield one, order[np.repeat(low[begin:end], part) + steps]
        begin = end
