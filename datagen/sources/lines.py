"""JSON lines nobody vouches for: each line becomes an object with a key, or a reason why not."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import nesting
from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.rows import SCHEMA, digest
from datagen.sources import encoding

MAX_LINE = 5_000_000


class LineProblem(Exception):
    """Why one line cannot become a row."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Line:
    """A source line: its content key, its number from 1, its raw text, and what is wrong with its bytes, if so."""

    key: str
    number: int
    text: str
    undecoded: str | None = None

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
        if self.undecoded:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} {self.undecoded}")
        if len(self.text) > MAX_LINE:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is longer than {MAX_LINE} characters")
        try:
            nesting.check(self.text)
            value: object = json.loads(self.text)
            return value
        except nesting.TooDeep as error:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is {error}") from error
        except (ValueError, RecursionError) as error:
            raise LineProblem(Reason.MALFORMED_LINE, f"line {self.number} is not JSON: {error}") from error

    def string(self, fields: dict[str, object], name: str) -> str:
        """The text in field `name`.

        Raises:
            LineProblem: it is missing or no text.
        """
        value = fields.get(name)
        if not isinstance(value, str):
            raise LineProblem(Reason.MISSING_FIELD, f"line {self.number} has no text in {name!r}")
        return value


def read_lines(path: Path, source: str, limit: int | None = None) -> Iterator[Line]:
    """The non-empty lines of a file, the first `limit` of them.

    A line's key is a hash of its text and of how often that text came before, so it does not move when others are
    added.

    Raises:
        SourceError: the file is not there, cannot be read, is UTF-16, or is a Git LFS pointer.
    """
    seen: Counter[str] = Counter()
    try:
        with encoding.opened(path) as handle:
            taken = 0
            for number, raw in enumerate(handle, 1):
                text = raw.strip()
                if not text:
                    continue
                if limit is not None and taken >= limit:
                    return
                taken += 1
                undecoded = encoding.undecoded(text)
                text = encoding.replaced(text) if undecoded else text
                base = digest(SCHEMA, "line", source, text)
                seen[base] += 1
                yield Line(base if seen[base] == 1 else digest(base, seen[base]), number, text, undecoded)
    except OSError as error:
        raise SourceError(
            f"The source file {path} cannot be read ({error.strerror}); check the recipe's path."
        ) from error
