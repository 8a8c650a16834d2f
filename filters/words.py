"""Normalized words of texts, as filters compare them."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
#: Words; hyphens by a digit; every other sign.
_PART = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*|-(?= ?\d)|(?<=\d)-|[^\w\s-]|_")
#: Punctuation that changes the meaning of a number or a name, beside the symbols of category S.
_SIGNS = frozenset("-%/*#&@")
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - reads better
    )
}
#: Characters of a text that a detail quotes.
_QUOTED = 80
_ARTICLES = frozenset({"a", "an", "the"})
#: Function words.
_FILLERS = _ARTICLES | frozenset({"of", "to", "in", "on", "at", "is", "are", "its", "it", "with", "and", "by", "for"})


def one_line(text: str) -> str:
    """`text` in Unicode NFC with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def folded(text: str) -> str:
    """`text` in Unicode NFKC, case folded, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> tuple[str, ...]:
    """The folded words without articles, small numbers as digits; a text without words is one word."""
    plain = folded(text)
    found = tuple(_NUMBERS.get(word, word) for word in _WORD.findall(plain) if word not in _ARTICLES)
    return found or (plain,)


def option_words(text: str) -> tuple[str, ...]:
    """The words of an option, and the signs that distinguish it from others.

    `teal.` is `teal`, and `well-lit` is `well lit`; but `-5` is not `5`, `C++` not `C`, `x < 3` not `x > 3`, and
    `Team A` not `Team`.
    """
    plain = folded(text).replace("\N{MINUS SIGN}", "-")
    parts = filter(_distinguishes, _PART.findall(plain))
    kept = (part for part, after in pairwise((*parts, "")) if part not in _ARTICLES or not after)
    return tuple(_NUMBERS.get(part, part) for part in kept) or (plain,)


def _distinguishes(part: str) -> bool:
    """Whether a part is a word, or a sign other than plain punctuation."""
    return part[0].isalnum() or part in _SIGNS or unicodedata.category(part[0])[0] == "S"


def content(text: str) -> tuple[str, ...]:
    """The content words in the singular; all words if there are only function words."""
    every = words(text)
    return tuple(_singular(word) for word in every if word not in _FILLERS) or every


def quoted(text: str) -> str:
    """A quoted excerpt of at most 80 characters, for a verdict's detail."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "...")


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def holds(text: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` is a contiguous run of words in `text`."""
    size = len(part)
    starts = (i for i in range(len(text) - size + 1) if size and text[i] == part[0])
    return any(tuple(text[i : i + size]) == tuple(part) for i in starts)


def shared(text: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """The longest common run of words, the first of several."""
    for size in range(len(text), 0, -1):
        for start in range(len(text) - size + 1):
            if holds(other, text[start : start + size]):
                return tuple(text[start : start + size])
    return ()
