"""Candidates for near-duplicate texts: MinHash with banding over the sets of words and word pairs.

See Broder 1997, and Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3. The permutations are those of
datasketch's `MinHash`, vectorized over texts; its own objects and index are too slow and too large for a million texts.
Texts of Jaccard similarity s are candidates with probability 1 - (1 - s^4)^24: 0.99 at 0.65, 0.78 at 0.5, 0.04 at 0.2.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from filters.corpus.duplicates.shared_keys import Pairs, sharing
from filters.corpus.text_hashes import Hashes, Words, mixed

BANDS, ROWS = 24, 4
SEED = 1
#: Successors of a row in its bucket, in alphabetical order, that it is compared with; larger buckets are templates.
WINDOW = 24
_BATCH = 2_000

Sketch = npt.NDArray[np.uint32]


def sketch(words: Words) -> Sketch:
    """Minima of shape (texts, BANDS * ROWS); a text without words has the largest value throughout."""
    out = np.full((len(words.counts), BANDS * ROWS), np.iinfo(np.uint32).max, np.uint32)
    factors, offsets = _permutations()
    for begin in range(0, len(out), _BATCH):
        bounds = words.starts[begin : begin + _BATCH + 1]
        values, owners = _elements(Words(words.hashes[bounds[0] : bounds[-1]], bounds - bounds[0]))
        if len(values):
            starts = np.flatnonzero(np.diff(owners, prepend=-1))
            rows = begin + owners[starts]
            for place, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
                out[rows, place] = np.minimum.reduceat(values * factor + offset, starts)
    return out


def _permutations() -> npt.NDArray[np.uint32]:
    """Factors and offsets, of shape (2, BANDS * ROWS)."""
    from datasketch import MinHash

    return np.asarray(MinHash(num_perm=BANDS * ROWS, seed=SEED).permutations)


def _elements(words: Words) -> tuple[Sketch, npt.NDArray[np.int64]]:
    """The 32-bit elements of every text's set, sorted by text, and the index of the text of each."""
    single = mixed(words.hashes), np.repeat(np.arange(len(words.counts)), words.counts)
    double = words.grams(2)
    owners = np.concatenate([single[1], double[1]])
    order = np.argsort(owners, kind="stable")
    values = np.concatenate([single[0], double[0]])[order]
    return (values >> np.uint64(32)).astype(np.uint32), owners[order]


def candidates(minima: Sketch, scope: Hashes, tie: npt.NDArray[np.int64]) -> Iterator[Pairs]:
    """Pairs of texts of equal `scope` that agree in a whole band; a pair may repeat."""
    for band in range(BANDS):
        key = scope.copy()
        for column in range(band * ROWS, (band + 1) * ROWS):
            key = mixed(key + minima[:, column].astype(np.uint64))
        yield from sharing(key, tie, WINDOW)
