"""Pairs of rows that share a key, without comparing every row with every other.

Rows are sorted by their keys and each is set beside those that follow it, one place further at a time, so memory holds
one pair a row and never a whole group squared.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Pairs = tuple[Rows, Rows]


def sharing(keys: npt.NDArray[np.uint64], tie: npt.NDArray[np.int64], window: int) -> Iterator[Pairs]:
    """Pairs of rows with equal keys, each pair once, in batches of at most one pair a row.

    Rows of one key are ordered by `tie`, and each is paired with the `window` that follow it: all pairs in groups of up
    to `window` + 1 rows, and in larger ones those that `tie` puts near each other.
    """
    order = np.lexsort((tie, keys))
    ordered = keys[order]
    first = np.arange(len(keys) - 1)
    for step in range(1, window + 1):
        first = first[first < len(keys) - step]
        first = first[ordered[first] == ordered[first + step]]
        if not len(first):
            return
        yield order[first], order[first + step]


def distinct(batches: Iterator[Pairs], rows: int) -> Pairs:
    """All pairs of several batches, each once, the smaller row first, sorted."""
    gathered: list[npt.NDArray[np.int64]] = []
    held = 0
    for one, two in batches:
        gathered.append(np.minimum(one, two) * rows + np.maximum(one, two))
        held += len(one)
        if held > 20_000_000:
            gathered = [np.unique(np.concatenate(gathered))]
            held = len(gathered[0]) // 2  # what is unique already counts half, so that this does not happen every time
    codes = np.unique(np.concatenate(gathered)) if gathered else np.empty(0, np.int64)
    return codes // rows, codes % rows
