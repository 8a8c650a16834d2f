"""Which texts may be near-duplicates: MinHash with banding (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of
Massive Datasets", chapter 3), over the set of a text's words and pairs of neighbouring words.

The permutations are those of datasketch's `MinHash`, applied to a batch of texts at once: its own objects take one text
each, and its index a Python dictionary a band, which for a million texts is too slow and too large. Two texts of
Jaccard similarity s become candidates with probability 1 - (1 - s^4)^24: 0.99 at 0.65, 0.78 at 0.5, 0.04 at 0.2.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from filters.corpus.duplicates.shared_keys import Pairs, sharing
from filters.corpus.text_hashes import Hashes, Words, mixed

BANDS, ROWS = 24, 4
SEED = 1
#: Rows of one bucket that are compared with each other; more of them are made from one template, and a row is compared
#: with those after it in the alphabet.
WINDOW = 24
_BATCH = 2_000

Sketch = npt.NDArray[np.uint32]


def sketch(words: Words) -> Sketch:
    """Texts x (BANDS * ROWS) minima; a text without words has the largest value throughout."""
    out = np.full((len(words.counts), BANDS * ROWS), np.iinfo(np.uint32).max, np.uint32)
    factors, offsets = _permutations()
    for begin in range(0, len(out), _BATCH):
        part = _part(words, begin, min(begin + _BATCH, len(out)))
        values, owners = _elements(part)
        if len(values):
            starts = np.flatnonzero(np.diff(owners, prepend=-1))
            rows = begin + owners[starts]
            for place, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
                out[rows, place] = np.minimum.reduceat(values * factor + offset, starts)
    return out


def _permutations() -> npt.NDArray[np.uint32]:
    """Factors and offsets, 2 x (BANDS * ROWS)."""
    from datasketch import MinHash

    return np.asarray(MinHash(num_perm=BANDS * ROWS, seed=SEED).permutations)


def _part(words: Words, begin: int, end: int) -> Words:
    starts = words.starts[begin : end + 1]
    return Words(words.hashes[starts[0] : starts[-1]], starts - starts[0])


def _elements(words: Words) -> tuple[Sketch, npt.NDArray[np.int64]]:
    """The 32-bit elements of every text's set, sorted by text, and the text each is of.

    datasketch mixes the bits of an element before it permutes; ours are mixed already.
    """
    single = mixed(words.hashes), np.repeat(np.arange(len(words.counts)), words.counts)
    double = words.grams(2)
    owners = np.concatenate([single[1], double[1]])
    order = np.argsort(owners, kind="stable")
    values = np.concatenate([single[0], double[0]])[order]
    return (values >> np.uint64(32)).astype(np.uint32), owners[order]


def candidates(minima: Sketch, scope: Hashes, tie: npt.NDArray[np.int64]) -> Iterator[Pairs]:
    """Pairs of texts of one `scope` that agree in a whole band; a pair may come several times."""
    for band in range(BANDS):
        key = scope.copy()
        for column in range(band * ROWS, (band + 1) * ROWS):
            key = mixed(key + minima[:, column].astype(np.uint64))
        yield from sharing(key, tie, WINDOW)
