"""Untrusted JSON lines: each becomes an object with a content key, or a problem with its reason."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from capcurriculum.errors import SourceError
from capcurriculum.files import json_file
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits
from capcurriculum.rows import SCHEMA, CaptionedImage, Question, digest
from datagen.sources.formats import encoding

MAX_LINE = Limits().line
#: What code raises over a value that it did not expect; it becomes the verdict on the row.
_ODD = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)


class LineProblem(Exception):
    """Why a record cannot become a row: `reason` and `detail` of its verdict."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@contextmanager
def of_row(number: int) -> Iterator[None]:
    """Turn what untrusted values make code raise into a problem of their row.

    Raises:
        LineProblem: something did.
    """
    try:
        yield
    except _ODD as error:
        said = " ".join(str(error).split())[:160]
        detail = f"row {number} holds what cannot be read ({type(error).__name__}: {said})"
        raise LineProblem(Reason.MALFORMED_LINE, detail) from error


_Row = TypeVar("_Row", CaptionedImage, Question)


def whole(row: _Row, number: int) -> _Row:
    """The row, if all of its texts can be written: JSON may spell one half of a surrogate pair, which no file takes.

    Raises:
        LineProblem: one cannot.
    """
    for one in fields(row):
        value = getattr(row, one.name)
        text = value if isinstance(value, str) else "".join(value) if isinstance(value, tuple) else ""
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            detail = f"row {number} has half a character (a lone surrogate) in its {one.name.replace('_', ' ')}"
            raise LineProblem(Reason.MALFORMED_LINE, detail)
    return row


def short(text: str, most: int, number: int, what: str) -> None:
    """Refuse a text that would cost every model that reads it more than it is worth.

    Raises:
        LineProblem: it has more than `most` characters.
    """
    if len(text) > most:
        detail = f"row {number} has a {what} of {len(text):,} characters, more than {most:,}"
        raise LineProblem(Reason.TOO_LONG, f"{detail} ({what} in the source's limits)")


@dataclass(frozen=True, slots=True)
class Line:
    """A source line: its content key, its number from 1, its raw text, and what is wrong with it, if so."""

    key: str
    number: int
    text: str
    fault: str | None = None

    def fields(self) -> dict[str, object]:
        """The line's JSON object.

        Raises:
            LineProblem: it is not one.
        """
        value = self.value()
        if not isinstance(value, dict):
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is not a JSON object")
        return value

    def value(self) -> object:
        """The line's JSON.

        Raises:
            LineProblem: it is none, or not UTF-8, or larger or deeper than any row.
        """
        if self.fault:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} {self.fault}")
        try:
            json_file.check_depth(self.text)
            value: object = json.loads(self.text)
            return value
        except json_file.TooDeep as error:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is {error}") from error
        except (ValueError, RecursionError) as error:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is not JSON: {error}") from error


def read_lines(path: Path, source: str, most: int = MAX_LINE) -> Iterator[Line]:
    """The non-empty lines of a file; one of more than `most` characters is cut and refused.

    A line's key is a hash of its text and of how often that text came before, so it does not move when others are
    added.

    Raises:
        SourceError: the file is not there, cannot be read, is UTF-16, or is a Git LFS pointer.
    """
    seen: Counter[str] = Counter()
    try:
        with encoding.opened(path) as handle:
            for number, raw in enumerate(encoding.lines(handle, most), 1):
                text = raw.strip()
                if not text:
                    continue
                undecoded = encoding.undecoded(text)
                text = encoding.replaced(text) if undecoded else text
                too_long = f"is longer than {most:,} characters (line in the source's limits)"
                long = too_long if len(raw.rstrip("\n")) > most else None
                base = digest(SCHEMA, "line", source, text)
                seen[base] += 1
                yield Line(base if seen[base] == 1 else digest(base, seen[base]), number, text, long or undecoded)
    except OSError as error:
        why = f"The source file {path} cannot be read ({error.strerror}); check the recipe's path."
        raise SourceError(why) from error
