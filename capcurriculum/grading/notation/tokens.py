r"""A cleaned answer as tokens, and which runs of letters are symbols and which are words."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from capcurriculum.grading.notation.vocabulary import FUNCTIONS, JOINING, NAMES, SHORT_WORDS

_TOKEN = re.compile(
    r"(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?!\w))?)"
    r"|(?P<word>[^\W\d_]+)"
    r"|\\(?P<edge>begin|end)\s?\{(?P<env>\w+\*?)\}(?:\s?\{[clr| ]+\})?"
    r"|\\text\{(?P<text>[^{}]*)\}"
    r"|(?P<command>\\[A-Za-z]+)"
    r"|(?P<row>\\\\)(?:\s?\[[^\[\]]{0,10}\])?"
    r"|(?P<escaped>\\[{}|#&])"
    r"|(?P<sign>!=|<=|>=|==|[^\s])"
)


_MATHS = re.compile(r"[=+*/^<>|()]|\\(?!text)[A-Za-z]|\d[A-Za-z]")


class Token(NamedTuple):
    """A piece of an answer; `spaced` says that a space stood before it, `among` that the answer has mathematical signs.

    `kind` is number, word, symbol (one letter of a product), segment (capitals: `AB`, `RC`), name (a function or a
    written-out command), text, begin, end, command, row or sign.
    """

    kind: str
    text: str
    spaced: bool = False
    among: bool = False


class Words(ValueError):
    """The answer is language, not mathematics."""


def tokens(text: str) -> list[Token]:
    """The tokens of a cleaned answer; runs of letters are left whole."""
    found: list[Token] = []
    end, among = 0, bool(_MATHS.search(text))
    for piece in _TOKEN.finditer(text):
        kind, spaced = str(piece.lastgroup), piece.start() > end
        end = piece.end()
        if kind == "env":
            found.append(Token(piece["edge"], piece["env"], spaced))
        elif kind == "number":
            found.append(Token("number", piece[0], spaced))
        elif kind in ("sign", "escaped"):
            found.append(Token("sign", piece[0], spaced))
        else:
            found.append(Token(kind, piece[kind], spaced, among))
    return found


def is_product(run: str, *, among: bool = False) -> bool:
    """Whether a run of letters is a product of symbols: `xy`, `abc`, `nq`, and not `no`, `up`, `red`, `Evelyn`.

    Up to three letters that are no English word, or more that follow each other in the alphabet or hold no vowel.
    `among` other mathematics, capitals are points or segments (`AM + AL`) and two letters a product (`F = ma`) sooner.
    """
    if len(run) == 1:
        return True
    low = run.lower()
    joining = low in (("and", "or", "not", "for") if run.isupper() else JOINING)
    if among and run.isascii() and not joining and (len(run) == 2 or (len(run) == 3 and run.isupper())):
        return True
    if low in SHORT_WORDS or not run.isascii() or "o" in low:
        return False
    return len(run) <= 3 or follows(low) or not set(low) & set("aeiou")


def follows(run: str) -> bool:
    """Whether the letters of `run`, sorted, follow each other in the alphabet: the names of points, or `abc`."""
    codes = sorted(map(ord, run))
    return all(after - before == 1 for before, after in pairwise(codes))


def symbols(found: Sequence[Token]) -> Iterator[Token]:
    """The tokens with every run of letters as symbols, segments or names.

    Raises:
        Words: a run is language.
    """
    for token in found:
        if token.kind != "word":
            yield token
            continue
        spaced = token.spaced
        for kind, text in _split(token.text, token.among):
            yield Token(kind, text, spaced)
            spaced = False


def _split(run: str, among: bool) -> Iterator[tuple[str, str]]:
    if run in FUNCTIONS or run.lower() in NAMES:
        yield "name", run if run in FUNCTIONS else NAMES[run.lower()]
        return
    for name in sorted((*FUNCTIONS, "pi", "theta"), key=len, reverse=True):
        if len(name) > 2 and run.startswith(name) and is_product(run[len(name) :]):
            yield "name", name if name in FUNCTIONS else "\\" + name
            yield from (("symbol", letter) for letter in run[len(name) :])
            return
    if not is_product(run, among=among):
        raise Words(run)
    if run.isupper() and len(run) > 1:
        yield "segment", run
        return
    yield from (("symbol", letter) for letter in run)
