"""Pairs of rows with equal keys, in memory linear in the rows.

Rows are sorted by key, and each is paired with its successors, one step further at a time.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Pairs = tuple[Rows, Rows]


def sharing(keys: npt.NDArray[np.uint64], tie: npt.NDArray[np.int64], window: int) -> Iterator[Pairs]:
    """Pairs of rows with equal keys, each once, in batches of at most one pair for each row.

    Rows of one key are ordered by `tie` and paired with their next `window` rows, which are all pairs in groups of up
    to `window` + 1 rows.
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
    """All distinct pairs of several batches, the smaller row first, sorted."""
    gathered: list[npt.NDArray[np.int64]] = []
    held = 0
    for one, two in batches:
        gathered.append(np.minimum(one, two) * rows + np.maximum(one, two))
        held += len(one)
        if held > 20_000_000:
            gathered = [np.unique(np.concatenate(gathered))]
            held = len(gathered[0]) // 2  # unique codes count half, so that the next merge comes later
    codes = np.unique(np.concatenate(gathered)) if gathered else np.empty(0, np.int64)
    return codes // rows, codes % rows
