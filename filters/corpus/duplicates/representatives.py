"""Which rows of a graph of near-duplicates stay: the best first, and nobody beside one that stays.

A chain A - B - C, where A and C are not alike, is not one group: if A is the best, B goes because of A, and C stays. So
every row that goes is a near-duplicate of one that stays, and no two that stay are near-duplicates of each other.
"""

import numpy as np

from filters.corpus.duplicates.shared_keys import Rows

KEPT = -1


def keepers(better: Rows, worse: Rows, rows: int) -> Rows:
    """For every row the one it gives way to, or `KEPT`; rows are numbered by rank, the best 0.

    Args:
        better: the row of smaller number of each pair.
        worse: the other one.
        rows: how many there are.
    """
    result = np.full(rows, KEPT, np.int64)
    order = np.argsort(-better, kind="stable")  # of several that a row could give way to, the last written is the best
    better, worse = better[order], worse[order]
    while len(better):
        waiting = np.zeros(rows, bool)
        waiting[worse] = True
        # Who has no better neighbour left undecided stays, and its neighbours go.
        settled = ~waiting[better]
        result[worse[settled]] = better[settled]
        left = (result[better] == KEPT) & (result[worse] == KEPT)
        better, worse = better[left], worse[left]
    return result
