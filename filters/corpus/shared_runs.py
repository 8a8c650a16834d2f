"""Runs of words that texts share with single questions of a benchmark, for a batch of texts and all questions at once.

How much two texts share is told by the shorter one: a question inside a long prompt is a copy as much as one cut short.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filters.corpus.signatures.file import Numbers, Signature
from filters.corpus.text_hashes import Hashes, Places

Counts = npt.NDArray[np.int64]
#: For shares that are no sum of powers of two: 0.7 of 10 runs are 7.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Shared:
    """Of every text, the runs it has in common with the question that it shares most with, of so many of the shorter.

    Both are 0 where it shares too little with any.
    """

    runs: Counts
    shorter: Counts


@dataclass(frozen=True, slots=True)
class Texts:
    """The distinct runs of a batch of texts, sorted by hash, and the text that each is of."""

    values: Hashes
    owners: Places
    count: int

    @classmethod
    def of(cls, values: Hashes, owners: Places, count: int) -> "Texts":
        """From runs that may repeat within a text."""
        order = np.lexsort((owners, values))
        values, owners = values[order], owners[order]
        new = np.ones(len(values), bool)
        new[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
        return cls(values[new], owners[new], count)

    @property
    def sizes(self) -> Counts:
        """Distinct runs of each text."""
        return np.bincount(self.owners, minlength=self.count)

    def hits(self, known: Hashes) -> Counts:
        """How many of each text's runs are in `known`, which is sorted."""
        return np.bincount(self.owners[member(known, self.values)], minlength=self.count)


def member(known: Hashes, values: Hashes) -> npt.NDArray[np.bool_]:
    """A mask of the values that are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    found: npt.NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def most(texts: Texts, signature: Signature, kind: str, share: float, least: int) -> Shared:
    """What each text shares with the question of a benchmark that it is most like.

    Args:
        texts: their runs of the words of `kind`.
        signature: the benchmark.
        kind: `gram5`, `gram8` or `gram13`.
        share: of the distinct runs of the shorter of both texts, how many must be shared.
        least: and how many runs at least.
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
    found.runs[one[order]], found.shorter[one[order]] = runs[order], shorter[order]  # the last of a text's is the most
    return found


def _pairs(texts: Texts, hashes: Hashes, questions: Numbers, least: int) -> tuple[Places, Places]:
    """Text and question of every run that both have, of the texts that share so many with the benchmark at all."""
    known = member(hashes, texts.values)
    known &= (np.bincount(texts.owners[known], minlength=texts.count) >= least)[texts.owners]
    values, owners = texts.values[known], texts.owners[known]
    first, end = np.searchsorted(hashes, values), np.searchsorted(hashes, values, "right")
    repeats = end - first
    offsets = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return np.repeat(owners, repeats), questions[np.repeat(first, repeats) + offsets].astype(np.int64)
