"""Stable vectorized 64-bit hashes of columns; `polars.Expr.hash` is stable within one version only.

Ids are 16 hex digits of a SHA-256, so they already are uniform 64-bit numbers and are only mixed with a seed. Mixing is
a bijection, so two ids never tie.
"""

import hashlib

import numpy as np
import polars as pl

from capcurriculum.rows import SCHEMA

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]

_HEX_DIGITS = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def number_of(text: pl.Expr) -> pl.Expr:
    """A column of 16 hex digits as UInt64, null for any other text."""
    whole = pl.when(text.str.len_bytes() == _HEX_DIGITS).then(text)
    return whole.str.decode("hex", strict=False).bin.reinterpret(dtype=pl.UInt64, endianness="big")


def id_key(text: pl.Expr) -> pl.Expr:
    """A column of ids as UInt64; texts other than 16 hex digits are hashed, which is slower."""
    number = number_of(text)
    other = pl.when(number.is_null()).then(text).map_batches(text_keys, return_dtype=pl.UInt64, is_elementwise=True)
    return pl.coalesce(number, other)


def text_key(text: str) -> int:
    """The first eight bytes of the text's SHA-256, big-endian."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def text_keys(texts: pl.Series) -> pl.Series:
    """`text_key` of every text, null for null."""
    if texts.null_count() == len(texts):
        return pl.Series([None], dtype=pl.UInt64).new_from_index(0, len(texts))
    keys = np.zeros(len(texts), dtype=np.uint64)
    there = texts.is_not_null().to_numpy()
    keys[there] = [text_key(text) for text in texts.drop_nulls()]
    return pl.select(pl.when(pl.Series(there)).then(pl.Series(keys))).to_series()


def mixed(keys: Keys, *salts: object) -> Keys:
    """The keys permuted by a bijection of the 64-bit numbers that depends on the salts."""
    return splitmix(keys ^ np.uint64(text_key(repr((SCHEMA, *salts)))))


def splitmix(states: Keys) -> Keys:
    """The next output of a splitmix64 generator in each state.

    Steele, Lea and Flood 2014, OOPSLA, doi:10.1145/2660193.2660195.
    """
    with np.errstate(over="ignore"):
        z = states + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
