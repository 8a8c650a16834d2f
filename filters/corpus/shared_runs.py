"""Runs of words that a batch of texts shares with each question of a benchmark, vectorized.

Overlap is relative to the shorter text, so that a question inside a long prompt and one cut short are both copies.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filters.corpus.signatures.file import Numbers, Signature
from filters.corpus.text_hashes import Hashes, Places

Counts = npt.NDArray[np.int64]
#: Tolerance for shares that are not exact in binary: 0.7 of 10 runs are 7.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Shared:
    """For every text the `runs` shared with its best match, and the number of runs of the shorter of both.

    Both are 0 for a text without a match.
    """

    runs: Counts
    shorter: Counts


@dataclass(frozen=True, slots=True)
class Texts:
    """The distinct runs of `count` texts, sorted by hash, and the index of the text of each."""

    values: Hashes
    owners: Places
    count: int

    @classmethod
    def of(cls, values: Hashes, owners: Places, count: int) -> "Texts":
        """From runs that may repeat in a text."""
        order = np.lexsort((owners, values))
        values, owners = values[order], owners[order]
        new = np.ones(len(values), bool)
        new[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
        return cls(values[new], owners[new], count)

    @property
    def sizes(self) -> Counts:
        """Number of distinct runs of each text."""
        return np.bincount(self.owners, minlength=self.count)

    def hits(self, known: Hashes) -> Counts:
        """Number of each text's runs in the sorted array `known`."""
        return np.bincount(self.owners[member(known, self.values)], minlength=self.count)


def member(known: Hashes, values: Hashes) -> npt.NDArray[np.bool_]:
    """A mask of the values in the sorted array `known`."""
    if not len(known):
        return np.zeros(len(values), bool)
    found: npt.NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def most(texts: Texts, signature: Signature, kind: str, share: float, least: int) -> Shared:
    """The overlap of each text with the most similar question of a benchmark.

    Args:
        texts: with runs of `kind`.
        signature: the benchmark.
        kind: `gram5`, `gram8` or `gram13`.
        share: minimum share of the distinct runs of the shorter text.
        least: minimum number of shared runs.
    """
    hashes, questions = signature.hashes[kind], signature.questions[kind]
    one, two = _pairs(texts, hashes, questions, least)
    both, runs = np.unique(one << 32 | two, return_counts=True)
    one, two = both >> 32, both & 0xFFFFFFFF
    shorter = np.minimum(texts.sizes[one], np.bincount(questions)[two])
    enough = (runs >= least) & (runs >= share * shorter - _ROUNDING)
    one, runs, shorter = one[enough], runs[enough], shorter[enough]
    order = np.lexsort((runs, runs / shorter, one))
    found = Shared(np.zeros(texts.count, np.int64), np.zeros(texts.count, np.int64))
    found.runs[one[order]], found.shorter[one[order]] = (
        runs[order],
        shorter[order],
    )  # the last one is the largest
    return found


def _pairs(texts: Texts, hashes: Hashes, questions: Numbers, least: int) -> tuple[Places, Places]:
    """(text, question) of every shared run, for texts that share at least `least` runs with the benchmark."""
    known = member(hashes, texts.values)
    known &= (np.bincount(texts.owners[known], minlength=texts.count) >= least)[texts.owners]
    values, owners = texts.values[known], texts.owners[known]
    first, end = np.searchsorted(hashes, values), np.searchsorted(hashes, values, "right")
    repeats = end - first
    offsets = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return np.repeat(owners, repeats), questions[np.repeat(first, repeats) + offsets].astype(np.int64)
