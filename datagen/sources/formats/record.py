"""A row of a source, whatever its file's format: its key, its columns, and why it cannot be used, if so."""

import ast
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits, SourceSection
from capcurriculum.rows import SCHEMA, bytes_digest, digest
from datagen.sources.formats.json_lines import LineProblem

#: Names under which data sets wrap a single value: `{"value": "2"}`.
_WRAPPERS = ("value", "text", "answer", "content")
_LONGEST_LITERAL = 20_000


@dataclass(frozen=True, slots=True)
class Record:
    """A source row: its content key, its number from 1 in its file, its columns, and why it cannot be used, if so.

    `folder` is that of its file below the source, "" for the source's own.
    """

    key: str
    number: int
    values: Mapping[str, object]
    problem: LineProblem | None = None
    folder: str = ""

    def get(self, column: str) -> object:
        """The value of a column, None where there is none; a dot reaches into nested columns and lists (by place)."""
        if column in self.values:
            return self.values[column]
        value: object = self.values
        for part in column.split("."):
            if isinstance(value, list | tuple) and part.isdigit():
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, column: str) -> str:
        """The text of a column, also of one that wraps it alone; whole and decimal numbers count as text, NaN does not.

        Raises:
            LineProblem: there is none, or there are several.
        """
        value = single(self.get(column))
        if isinstance(value, list | tuple) and value:
            detail = f"row {self.number} has {len(value)} values in {column!r}, and one is wanted"
            raise LineProblem(Reason.MISSING_FIELD, detail)
        infinite = isinstance(value, float) and not math.isfinite(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) or infinite:
            raise LineProblem(Reason.MISSING_FIELD, f"row {self.number} has no text in {column!r}")
        return str(value)

    def string(self, column: str) -> str:
        """The text of a column exactly as it stands there, unlike `text`.

        Raises:
            LineProblem: there is none, or something else than a text.
        """
        value = self.get(column)
        if not isinstance(value, str):
            raise LineProblem(Reason.MISSING_FIELD, f"row {self.number} has no text in {column!r}")
        return value

    def texts(self, column: str) -> tuple[str, ...]:
        """The texts of a list column; empty where the column is absent or null.

        Raises:
            LineProblem: it holds something else than texts.
        """
        value = self.get(column)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            raise LineProblem(Reason.MALFORMED_LINE, f"row {self.number} has no list of texts in {column!r}")
        return tuple(value)

    def refused(self, reason: Reason, detail: str) -> "Record":
        """The same row with the reason why it is not used."""
        return replace(self, problem=LineProblem(reason, detail))


@dataclass(slots=True)
class Keys:
    """Content keys of one source's rows: equal rows are distinguished by their number of earlier occurrences.

    `further` are columns that each row gets, with the same value.
    """

    source: str
    seen: set[int] = field(default_factory=set)
    repeats: Counter[int] = field(default_factory=Counter)
    further: Mapping[str, object] = field(default_factory=dict)

    def record(self, number: int, values: Mapping[str, object]) -> Record:
        """The row with its key."""
        values = {**values, **self.further} if self.further else values
        base = digest(SCHEMA, "record", self.source, canonical(values))
        short = int(base, 16)
        if short not in self.seen:
            self.seen.add(short)
            return Record(base, number, values)
        self.repeats[short] += 1
        return Record(digest(base, self.repeats[short] + 1), number, values)


def canonical(value: object) -> object:
    """Something JSON can hold that stands for `value`; bytes by their digest."""
    match value:
        case bytes():
            return ["bytes", bytes_digest(value)]
        case Mapping():
            return {str(name): canonical(inner) for name, inner in value.items()}
        case list() | tuple():
            return [canonical(inner) for inner in value]
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: what gives rows their keys, columns each file must have, and where rows are inside a JSON.

    `needed` names columns by what stands before a first dot; `inner` is `item` for an array, `questions.item` for one
    in an object. With `keep` the whole rows of a file that breaks off are taken; `limits` bound what it costs.
    """

    keys: Keys
    needed: tuple[str, ...] = ()
    inner: str = "item"
    keep: bool = False
    limits: Limits = field(default_factory=Limits)

    @staticmethod
    def of(section: SourceSection, name: str, needed: tuple[str, ...] = ()) -> "Reading":
        """How the files of a source called `name` are read."""
        return Reading(Keys(name), needed, keep=section.takes_incomplete, limits=section.limits)

    def broken(self, where: str, count: int, what: str) -> SourceError:
        """The error of a file that breaks off behind `count` rows."""
        mend = "download it again" + (f", or take its {count} whole rows with incomplete: keep" if count else "")
        return SourceError(f"{where} {what}; if it is cut off, {mend}.")

    def cut_off(self, where: str, count: int) -> Record:
        """A last record that says that a file breaks off behind `count` rows."""
        record = self.keys.record(count + 1, {"(breaks off)": where.rsplit("/", 1)[-1], "(rows)": count})
        detail = f"{where} breaks off after its first {count} rows, which are taken"
        return record.refused(Reason.INCOMPLETE_FILE, detail)


def sentence(error: Exception) -> str:
    """What a library said, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def single(value: object) -> object:
    """The value itself, or the one in it where a list or mapping holds nothing else: `["2"]`, `[{"value": "2"}]`.

    A text that is a list of texts, or a mapping, as JSON or Python writes it, is that; one of numbers may be an answer.
    """
    value = _unpacked(value) if isinstance(value, str) else value
    while True:
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        elif isinstance(value, Mapping) and len(value) == 1 and (name := next(iter(value))) in _WRAPPERS:
            value = value[name]
        else:
            return value


def _unpacked(text: str) -> object:
    found = parsed(text)
    if isinstance(found, dict) or (isinstance(found, list) and found and all(isinstance(one, str) for one in found)):
        return found
    return text


def parsed(text: str) -> object:
    """A text that holds a list or mapping, as JSON or as Python prints it; else the text, stripped."""
    stripped = text.strip()
    if stripped[:1] not in ("[", "{") or stripped[-1:] not in ("]", "}") or len(stripped) > _LONGEST_LITERAL:
        return stripped
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return stripped
