r"""Options that a problem's text holds, in the ways that people set them, from the surest to those that need a key.

`Choices: A: 3 B: 4`, one a line, `\textbf{(A)}\ 3 \qquad \textbf{(B)}\ 4`, `(A) 3 (B) 4`; and, where the key is a
letter and so says that there are options, any labels in order: `A. 3 B. 4`, `A．3 B．4`, `A、3`.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from datagen.sources.options import choices

#: Where the options begin, as the sources say it.
_HEADING = re.compile(
    r"(?:\b(?:choices|options)\s*:|choose from the following options:?|from the following options:?)\s*", re.IGNORECASE
)
#: Labels before options; `@` is their letter.
_LABEL = r"[(\[]?@[)\]]?\s?[:.)]\s*"
_LINE = r"(?:^|\n)\s*(?:[-*•]\s+)?"
#: Labels that count where the key is a letter.
_LOOSE = r"(?:^|[\s。?)])(?:[-*•]\s+)?(?:\*\*)?(?:[(\[]@[)\]][.:]?|@\s?[.)、:])(?:\*\*)?\s*"
#: `\\textbf{(A)}`, `\\mathrm{(A) \\ }`, `(\\text{A})`, `{\\bf (A)}`, as competitions set their choices.
_FONT = (
    r"(?:\\(?:textbf|textrm|textsf|text|mathbf|mathrm|mathsf|bf|rm|bold|boldsymbol)\s*\{|\{\s*\\(?:bf|rm|bfseries)\s)"
)
_SPACE = r"(?:\s|~|\\[ ,;:!]|\\q?quad|\{\s*\})*"
_SET_LABEL = (
    rf"\$?\s*(?:\(\s*{_FONT}\s*@\s*\}}\s*\)"
    rf"|\\item\s*\[\s*\(?@[).]?\s*\]|{_FONT}{_SPACE}(?:\(\s*@\s*\)|@\s*[).]){_SPACE}\}})[.:]?"
)
_BRACKETED = r"(?<![A-Za-z0-9_\\^)])\(@\)"
#: One alternative a character or command, none inside another, so that no text makes it try again and again.
_ATOM = r"\s|~|\\[ ,;:!]|\\q?quad|\{\s*\}|\$"
_AROUND = re.compile(rf"^(?:[:.]|{_ATOM})++|(?:{_ATOM}|[;,]|\\\\|\\(?:newline|hfill)|\\end\{{\w+\}})++$")
_FEWEST = 3
#: What a question in front of its options ends in, with the first label behind it.
_ASKED = re.compile(r"(?:[?:_]|\(\s*\))\s*(?:[-*•]\s+)?[(\[]?A[)\]]?\s?[:.)]?\s*$")
_BLANKS, _EMPTY_LINES = re.compile(r"[^\S\n]+"), re.compile(r"\n(?: ?\n)+")
#: Characters at a problem's end that are looked at, and labels A in them: options are no book.
_LOOKED_AT, _TRIED = 20_000, 20
#: U+FF01 to U+FF5E, and the blank of the same width.
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_LETTERS = re.compile(r"^\W*(?:[A-J](?:\s*(?:,|;|and|&|、|，)?\s*[A-J])*)\W*$")


def options(problem: str) -> tuple[str, ...]:
    """The options at the end of a problem, A first; empty if there are none that are distinct."""
    text = _narrow(problem)
    return _headed(text) or _split(text, _LINE + _LABEL) or _labelled(text, _SET_LABEL) or _labelled(text, _BRACKETED)


def loose(problem: str) -> tuple[str, ...]:
    """The same by any labels in order, for a problem whose key is a letter."""
    text = _narrow(problem)
    return _split(text, _LOOSE) or _split(text, _LOOSE, lower=True)


def are_sure(problem: str) -> bool:
    """Whether a problem's options can be nothing else.

    They are where they stand behind "Choices:", are set as in competitions, or are four with no question behind them.
    """
    text = _narrow(problem)
    if _headed(text) or _labelled(text, _SET_LABEL):
        return True
    lines = _split(text, _LINE + _LABEL, whole=True)
    if len(lines) == _FEWEST and not _ASKED.search(text[: text.find(lines[0])]):
        lines = ()
    several = max(_split(text, _BRACKETED, whole=True), lines, _split(text, _LOOSE, whole=True), key=len)
    return len(several) > _FEWEST - bool(lines) and not any("?" in one for one in several)


def _headed(text: str) -> tuple[str, ...]:
    headings = list(_HEADING.finditer(text))
    return _split(text[headings[-1].end() :], r"(?:^|[\n\s])" + _LABEL) if headings else ()


def _narrow(text: str) -> str:
    """The end of a text, full-width letters and signs as those of ASCII, blanks and empty lines at most one."""
    text = _BLANKS.sub(" ", text[-_LOOKED_AT:].translate(_WIDE))
    return _EMPTY_LINES.sub("\n\n", text)


def names_letters(answer: str) -> bool:
    """Whether an answer is nothing but letters of options, one or several, in options or past their end."""
    return len(answer) <= 12 and bool(_LETTERS.match(answer)) and not re.search(r"[A-J]{3}", answer)


def _split(text: str, label: str, *, lower: bool = False, whole: bool = False) -> tuple[str, ...]:
    """Texts between labels in order: the longest row of them, the last of those; two at least, none empty.

    With `whole` the last one has all that stands behind it.
    """
    found: tuple[str, ...] = ()
    for starts in _rows(text, label, ascii_uppercase.lower() if lower else ascii_uppercase):
        ends = [start for start, _ in starts[1:]] + [len(text)]
        texts = [text[start:end].strip() for (_, start), end in zip(starts, ends, strict=True)]
        texts = texts if whole else _ended(texts)
        if len(texts) >= len(found) and choices.distinct(texts):
            found = tuple(texts)
    return found


def _rows(text: str, label: str, letters: str) -> Iterator[list[tuple[int, int]]]:
    """(start, end) of the labels A, B, ... behind each label A."""
    firsts = deque((match.span() for match in re.finditer(label.replace("@", letters[0]), text)), maxlen=_TRIED)
    for first in firsts:
        starts = [first]
        for letter in letters[1:]:
            match = re.compile(label.replace("@", letter)).search(text, starts[-1][1])
            if match is None:
                break
            starts.append(match.span())
        yield starts


def _ended(texts: Sequence[str]) -> list[str]:
    """The options, the last one without what stands on lines behind it, where no other has several lines."""
    if len(texts) > 1 and not any("\n" in text for text in texts[:-1]):
        return [*texts[:-1], texts[-1].split("\n", 1)[0].strip()]
    return list(texts)


def _labelled(text: str, label: str) -> tuple[str, ...]:
    """The same for labels inside formulas: three at least, and spaces, dollars and separators taken off."""
    found = tuple(_AROUND.sub("", option).strip() for option in _split(text, label))
    return found if len(found) >= _FEWEST and choices.distinct(found) else ()
