"""Rows of a text table (CSV, TSV), as `csv` reads them, except for quotes that are never closed.

A cell in quotes may hold line breaks. So a stray quote at the beginning of a cell takes in all lines up to the next
quote, and they would be one row. Where a row of several lines looks so, its first line alone is refused and the others
are read by themselves.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: A row of several lines is given up behind so many lines, or characters.
MAX_LINES, MAX_CHARS = 5_000, 32_000_000
_BREAK = re.compile(r"\r\n|\r|\n")
#: So many lines in a cell of a comma-separated file have to look like rows, where nothing else is wrong with it.
_MANY, _SHARE = 3, 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a row, and what is wrong with its quotes, if so."""

    fields: list[str]
    problem: str = ""


class _Lines:
    """The physical lines of a table; it keeps those of the row that is being read, and reads those of `again` first."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.again: deque[str] = deque()
        self.begin()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.row) > 1 and (len(self.row) >= MAX_LINES or self._size > MAX_CHARS):
            self.unclosed = self.gave_up = True
            raise StopIteration
        line = self.again.popleft() if self.again else next(self._lines, None)
        if line is None:
            self.unclosed = bool(self.row)
            raise StopIteration
        self.row.append(line)
        self._size += len(line)
        return line

    def begin(self) -> None:
        """A row begins."""
        self.row, self._size = list[str](), 0
        self.unclosed = self.gave_up = False


@dataclass(frozen=True, slots=True)
class _Header:
    """What rows look like: how many columns they have, what parts them, and whether blanks come behind that."""

    width: int
    delimiter: str
    padded: bool

    def count(self, line: str) -> int:
        """How many fields a line by itself has."""
        return len(_alone(line, self.delimiter))

    def fits(self, line: str) -> bool:
        """Whether a line by itself would be a row. A comma with a blank behind it is a text's, unless the header's."""
        fields = _alone(line, self.delimiter)
        return len(fields) == self.width and (self.padded or not any(field.startswith(" ") for field in fields[1:]))


def rows(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    """The rows of a table that are not empty, its header first; `lines` with their ends.

    Raises:
        csv.Error: a field is longer than `csv.field_size_limit`.
    """
    source, header = _Lines(lines), None
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        source.begin()
        fields = next(reader, None)
        if fields is None:
            return
        if not fields:
            continue
        taken = source.row
        if header and len(taken) > 1 and (source.gave_up or _swallows(source, fields, header)):
            source.again.extendleft(reversed(taken[1:]))
            swallowed = f"the {len(taken) - 1} lines after it" if len(taken) > 2 else "the line after it"
            mend = 'take it out, or write "" for a quote inside a text'
            yield Row(_alone(taken[0], delimiter), f"has a quote that is opened and swallows {swallowed}; {mend}")
            continue
        yield Row(fields, _astray(source, fields, delimiter))
        header = header or _Header(len(fields), delimiter, any(name.startswith(" ") for name in fields[1:]))


def _astray(source: _Lines, fields: list[str], delimiter: str) -> str:
    """What is wrong with the quotes of a row that is one, "" if they leave no doubt what its fields are."""
    if source.unclosed:
        return "has a quote that is opened and never closed"
    glued = _odd(source.row) and any(delimiter in field for field in fields) and _misquoted(source.row, delimiter)
    return "has a quote that is opened in one field and closed in another" if glued else ""


def _odd(lines: list[str]) -> bool:
    """Whether there is a quote too many, or too few: cells have two around them, and two for each inside."""
    return sum(line.count('"') for line in lines) % 2 == 1


def _alone(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _swallows(source: _Lines, fields: list[str], header: _Header) -> bool:
    """Whether a row of several lines is several rows, taken in by a stray quote.

    Either something is wrong with it, and half of the lines behind its first would be rows; or lines inside of one cell
    would be, which a text may look like by chance where commas part the columns, so they have to be many.
    """
    wrong = source.unclosed or len(fields) != header.width or _odd(source.row)
    if wrong or _misquoted(source.row, header.delimiter):
        after = source.row[1:]
        return 2 * sum(map(header.fits, after)) >= len(after)
    return any(_holds_rows(cell, place, header) for place, cell in enumerate(fields) if header.delimiter in cell)


def _misquoted(lines: list[str], delimiter: str) -> bool:
    """Whether a closing quote has a text behind it: it was meant to open a cell. Blanks there are only untidy."""
    tidy = (re.sub(rf'" +(?=[{re.escape(delimiter)}\r\n])', '"', line) for line in lines)
    try:
        for _ in csv.reader(tidy, delimiter=delimiter, strict=True):
            pass
    except csv.Error:
        return True
    return False


def _holds_rows(cell: str, place: int, header: _Header) -> bool:
    """Whether the lines of the cell at `place` are the end of a row, rows, and the beginning of one."""
    first, *inside = _BREAK.split(cell)
    if not inside:
        return False
    last = inside.pop()
    ends = place + header.count(first) == header.width and header.count(last) == place + 1
    fitting = sum(map(header.fits, inside))
    if header.delimiter == "\t":
        return fitting > 0 or ends
    return ends and fitting >= _MANY and fitting >= _SHARE * len(inside)
