"""Stable, vectorized hashes of the words and n-grams of texts.

Signature files outlive versions of libraries, so a word's hash is the first 8 bytes of its BLAKE2b, and everything else
is 64-bit arithmetic.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

#: Part of signature files; to be raised when a result of `normal` or `grams` changes.
VERSION = 1
WORD = r"[\p{L}\p{N}]+"
#: A minus counts unless it joins words: in `3-4`, `x-y` and `a - b`, not in `right-angled`.
_FORMULA = r"[0-9]+(?:[.,][0-9]+)*|[+*/^=<>≤≥×÷√%]|\\(?:frac|sqrt|times|cdot|div|leq|geq|neq)|[-−][^\p{L}]|[-−]\p{L}\b"
_OPTIONS = r"(?is)\b(?:options|choices)\s*:\s*[(\[]?A\b.*$"
_PLACEHOLDER = r"(?i)<image(?:\s*\d+)?>"
_BASE = 0x9E3779B97F4A7C15

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


def asked(text: pl.Expr, problem: pl.Expr) -> pl.Expr:
    """The question's text, else its problem, without the list of options and image placeholders."""
    full = pl.when(text.str.len_bytes() > 0).then(text).otherwise(problem)
    return full.str.replace_all(_PLACEHOLDER, " ").str.replace(_OPTIONS, "")


def normal(text: pl.Expr) -> pl.Expr:
    """Lower-case words joined by spaces (Unicode NFKC); a text without words is only stripped."""
    plain = text.str.normalize("NFKC").str.to_lowercase()
    words = plain.str.extract_all(WORD).list.join(" ")
    return pl.when(words.str.len_bytes() > 0).then(words).otherwise(plain.str.strip_chars())


def formula(text: pl.Expr) -> pl.Expr:
    """Numbers and operators in order, which distinguish problems of one template."""
    found = text.str.normalize("NFKC").str.extract_all(_FORMULA).list.join(" ")
    return found.str.replace_all(r"[-−]\s*", "-")


@dataclass(frozen=True, slots=True)
class Words:
    """Hashes of the words of n texts in a flat array; text `i` has `hashes[starts[i]:starts[i + 1]]`."""

    hashes: Hashes
    starts: Places

    @property
    def counts(self) -> Places:
        """Number of words of each text."""
        return np.diff(self.starts)

    def grams(self, size: int) -> tuple[Hashes, Places]:
        """Hashes of all runs of `size` words, and the index of the text of each, in order of the texts."""
        total = len(self.hashes) - size + 1
        if total <= 0:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        rolled = np.zeros(total, np.uint64)
        for place in range(size):
            rolled *= np.uint64(_BASE)
            rolled += self.hashes[place : place + total]
        owner = np.repeat(np.arange(len(self.counts)), self.counts)
        whole = owner[:total] == owner[size - 1 :]
        return mixed(rolled[whole] + np.uint64(size)), owner[:total][whole]

    def whole(self) -> tuple[Hashes, Places]:
        """Hashes of the non-empty texts, equal to that of a run of all words, and the index of each text."""
        texts = np.flatnonzero(self.counts)
        if not len(texts):
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        behind = np.repeat(self.starts[1:], self.counts) - np.arange(len(self.hashes)) - 1
        powers = np.full(int(self.counts.max()), _BASE, np.uint64)
        powers[0] = 1
        rolled = np.add.reduceat(self.hashes * np.cumprod(powers)[behind], self.starts[texts])
        return mixed(rolled + self.counts[texts].astype(np.uint64)), texts


def words(normals: pl.Series) -> Words:
    """The words of texts in the form of `normal`."""
    split = normals.str.split(" ").list.eval(pl.element().filter(pl.element() != ""))
    counts = split.list.len().to_numpy()
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    flat = split.explode(empty_as_null=False).rename("word").to_frame()
    known = flat.unique().drop_nulls()
    table = known.with_columns(hash=pl.Series([_stable(word) for word in known["word"]], dtype=pl.UInt64))
    hashes = flat.drop_nulls().join(table, on="word", how="left", maintain_order="left")["hash"]
    return Words(hashes.to_numpy().copy(), starts)


def _stable(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def mixed(values: Hashes) -> Hashes:
    """The 64-bit finalizer of MurmurHash3 (Appleby, public domain)."""
    result = values.copy()
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        result ^= result >> np.uint64(shift)
        result *= np.uint64(factor)
    return result ^ (result >> np.uint64(33))
