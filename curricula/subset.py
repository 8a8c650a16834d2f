"""A subset of a stage's training rows that teaches most by what the run knows of them.

A group of rollouts teaches where some are right and some are wrong, most where half are. What a pass rate of `k` of
`n` says of the next group is the variance of one reply, expected under the Beta distribution that `k` and `n` leave
(uniform prior): a row that was never right counts a little, since it may be right next time, and less the more it was
asked.

Rows whose key is doubted come last: a filter labelled them, or their rollouts agree on one other answer more often than
on the key. Images are used once each before one is used again, and skills keep their proportions.
"""

import numpy as np

from curricula import hashing, merge
from curricula.keys import Indices, Keys, Numbers


def chosen(rows: Indices, keys: Keys, share: float, seed: int) -> Indices:
    """The given share of `rows`, of one stage, in their order; at least one of any.

    Args:
        rows: indices into `keys`, shape (rows,).
        keys: with `doubt`.
        share: above 0 and at most 1.
        seed: of the ties.
    """
    if share >= 1 or not len(rows):
        return rows
    ranked = rows[_ranked(rows, keys, seed)]
    codes = keys.skill.codes[ranked].astype(np.int64)
    mixed = ranked[merge.interleave(codes, np.maximum(np.bincount(codes), 1))]
    taken = mixed[: max(1, round(share * len(rows)))]
    return rows[np.isin(rows, taken)]


def worth(k: Numbers, n: Numbers) -> Numbers:
    """The expected variance of a reply's reward after `k` of `n` were right, shape (rows,): at most 1/4."""
    right, wrong = k.astype(np.float64) + 1, (n - k).astype(np.float64) + 1
    whole = right + wrong
    return np.asarray(right * wrong / (whole * (whole + 1)))


def _ranked(rows: Indices, keys: Keys, seed: int) -> Indices:
    """The places of `rows` from the one to take first to the last."""
    tie = hashing.mixed(keys.key[rows], "take", seed)
    doubt = np.zeros(len(rows), dtype=bool) if keys.doubt is None else keys.doubt[rows]
    best = np.lexsort((tie, -worth(keys.k[rows], keys.n[rows]), doubt))
    _, image = np.unique(keys.unit[rows[best]], return_inverse=True)
    again = merge.ranks(image)  # how often a row's image was taken before it
    return np.asarray(best[np.lexsort((np.arange(len(rows)), again, doubt[best]))])
