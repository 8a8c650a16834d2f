"""Rows of files nobody vouches for, whatever their format: JSON lines, JSON arrays, CSV, Parquet, Arrow streams.

Every reader is a stream: one batch of rows is in memory, never the file. A row that cannot be read becomes a record
with its problem; a file that cannot be read, or lacks a column, is one `SourceError`.
"""

import csv
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.rows import SCHEMA, bytes_digest, digest
from datagen.sources import encoding
from datagen.sources.lines import Line, LineProblem, read_lines

BATCH_ROWS = 64
#: So many rows are looked at before a column counts as missing from a file of JSON objects.
LOOK_AHEAD = 20
#: A picture as base64 is one field of a TSV.
MAX_FIELD = 100_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """A source row: its content key, its number from 1 in its file, its columns, and why it cannot be used, if so."""

    key: str
    number: int
    values: Mapping[str, object]
    problem: LineProblem | None = None

    def get(self, column: str) -> object:
        """The value of a column, None where there is none; a dot reaches into nested columns."""
        if column in self.values:
            return self.values[column]
        value: object = self.values
        for part in column.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, column: str) -> str:
        """The text of a column; whole and decimal numbers count as text, NaN does not.

        Raises:
            LineProblem: there is none.
        """
        value = self.get(column)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
            raise LineProblem(Reason.MISSING_FIELD, f"row {self.number} has no text in {column!r}")
        return str(value)

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
        return Record(self.key, self.number, self.values, LineProblem(reason, detail))


@dataclass(slots=True)
class Keys:
    """Content keys of one source's rows: equal rows are told apart by how often they came before."""

    source: str
    seen: set[int] = field(default_factory=set)
    repeats: Counter[int] = field(default_factory=Counter)

    def record(self, number: int, values: Mapping[str, object]) -> Record:
        """The row with its key."""
        base = digest(SCHEMA, "record", self.source, _canonical(values))
        short = int(base, 16)
        if short not in self.seen:
            self.seen.add(short)
            return Record(base, number, values)
        self.repeats[short] += 1
        return Record(digest(base, self.repeats[short] + 1), number, values)


def _canonical(value: object) -> object:
    """Something JSON can hold that stands for `value`; bytes by their digest."""
    match value:
        case bytes():
            return ["bytes", bytes_digest(value)]
        case Mapping():
            return {str(name): _canonical(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_canonical(inner) for inner in value]
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return str(value)


def read_files(paths: Sequence[Path], keys: Keys, needed: Iterable[str] = (), inner: str = "item") -> Iterator[Record]:
    """The records of several files, one after the other.

    Args:
        paths: files whose endings tell their formats.
        keys: gives every row its key.
        needed: columns each file must have (the part before the first dot is looked for).
        inner: where the rows are inside a JSON file: `item` for an array, `questions.item` for one in an object.

    Raises:
        SourceError: a file cannot be read, has an unknown ending, or lacks a column.
    """
    for path in paths:
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise SourceError(f"The source file {path} has an unknown format; known endings are {', '.join(READERS)}.")
        try:
            yield from _complete(reader(path, keys, inner), path, tuple(needed))
        except OSError as error:
            raise SourceError(f"The source file {path} cannot be read ({error.strerror or error}).") from error


def _complete(records: Iterator[Record], path: Path, needed: Sequence[str]) -> Iterator[Record]:
    """The records, after a look at the first ones for the columns that are needed."""
    first = list(itertools.islice(records, LOOK_AHEAD))
    require(needed, [r.values for r in first if r.problem is None], str(path))
    yield from itertools.chain(first, records)


def require(needed: Iterable[str], rows: Sequence[Mapping[str, object]], where: str) -> None:
    """Refuse a layout that lacks a column.

    Raises:
        SourceError: none of `rows` has one of the columns; the sentence names it and those that are there.
    """
    found = {name for row in rows for name in row}
    for column in needed:
        if rows and column and column not in found and column.split(".")[0] not in found:
            raise SourceError(
                f"{where} has no column {column!r}; it has {', '.join(sorted(found)) or 'none'}. "
                "Check that the source's kind, or the recipe's columns, fit this data."
            )


def _json_lines(path: Path, keys: Keys, inner: str) -> Iterator[Record]:
    for line in read_lines(path, keys.source):
        yield from_line(line, keys)


def from_line(line: Line, keys: Keys) -> Record:
    """A JSON line as a record; one that is no object keeps its own key and its problem."""
    try:
        return keys.record(line.number, line.fields())
    except LineProblem as problem:
        return Record(line.key, line.number, {}, problem)


def _json(path: Path, keys: Keys, inner: str) -> Iterator[Record]:
    """An array of objects or of conversations, read element by element; some `.json` files hold JSON lines instead."""
    encoding.refuse_wide(path)
    with path.open("rb") as handle:
        first = handle.read(64).removeprefix(encoding.MARK).lstrip()[:1]
    if first == b"{" and inner == "item":
        yield from _json_lines(path, keys, inner)
        return
    with path.open("rb") as handle:
        yield from json_stream(handle, str(path), keys, inner)


def json_stream(handle: IO[bytes], where: str, keys: Keys, inner: str) -> Iterator[Record]:
    """The elements of the array at `inner` of a JSON document, one at a time; a list becomes the column `conversation`.

    Raises:
        SourceError: it is no valid JSON, or has no such array; `where` is what the sentence calls it.
    """
    import ijson

    count = 0
    try:
        for value in ijson.items(encoding.Unmarked(handle), inner, use_float=True):
            count += 1
            if isinstance(value, Mapping):
                yield keys.record(count, value)
            elif isinstance(value, list):
                yield keys.record(count, {"conversation": value})
            else:
                record = keys.record(count, {"value": value})
                yield record.refused(Reason.MALFORMED_LINE, f"row {count} is neither an object nor a list")
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(
            f"{where} is not valid JSON after row {count}: {_sentence(error)}; if it is cut off, download it again."
        ) from error
    if not count:
        missing = "array of rows" if inner == "item" else f"rows at {inner.removesuffix('.item')!r}"
        raise SourceError(f"{where} has no {missing}; check that the source's kind fits this file.")


def _csv(path: Path, keys: Keys, inner: str) -> Iterator[Record]:
    csv.field_size_limit(MAX_FIELD)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with encoding.opened(path, newline="") as handle:
        rows = csv.DictReader(handle, delimiter=delimiter, restkey="(too many)")
        try:
            for number, row in enumerate(rows, 1):
                yield _csv_row(number, row, keys)
        except csv.Error as error:
            raise SourceError(f"{path} is not valid CSV at line {rows.line_num}: {error}.") from error


def _csv_row(number: int, row: Mapping[str, str | None], keys: Keys) -> Record:
    """A row as a record, refused where its fields are not the header's or its bytes are not UTF-8."""
    values = {name: value for name, value in row.items() if value is not None}
    undecoded = encoding.undecoded("".join(map(str, values.values())))
    if undecoded:
        values = {name: encoding.replaced(str(value)) for name, value in values.items()}
    record = keys.record(number, values)
    if "(too many)" in row or len(values) < len(row):
        return record.refused(Reason.MALFORMED_LINE, f"row {number} does not have as many fields as the header")
    return record.refused(Reason.MALFORMED_LINE, f"row {number} {undecoded}") if undecoded else record


def _parquet(path: Path, keys: Keys, inner: str) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            if not file.metadata.num_rows:
                return
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield keys.record(number, values)
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not a sound Parquet file after row {number}: {_sentence(error)}.") from error


def _arrow(path: Path, keys: Keys, inner: str) -> Iterator[Record]:
    """A stream file as `datasets.save_to_disk` writes it."""
    import pyarrow as pa

    number = 0
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    for values in batch.slice(start, BATCH_ROWS).to_pylist():
                        number += 1
                        yield keys.record(number, values)
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not a sound Arrow stream after row {number}: {_sentence(error)}.") from error


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


READERS: Mapping[str, Callable[[Path, Keys, str], Iterator[Record]]] = {
    ".jsonl": _json_lines,
    ".jsonlines": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}


def find_files(folder: Path, patterns: Sequence[str], what: str) -> list[Path]:
    """The files below `folder` that match any of the glob patterns, in the order of the patterns and of their names.

    Raises:
        SourceError: none does, or one leads out of the folder.
    """
    root = folder.resolve()
    found: dict[Path, None] = {}
    for pattern in patterns:
        try:
            matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError) as error:
            raise SourceError(f"{pattern!r} is no pattern of files below {folder} ({error}).") from error
        for path in matches:
            # A Hub snapshot links into the cache beside it, so links are followed; `..` in a pattern is not.
            if ".." in Path(pattern).parts or not path.absolute().is_relative_to(folder.absolute()):
                raise SourceError(f"The pattern {pattern!r} leads out of {root}; name files below it.")
            found[path] = None
    if not found:
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:12]) if folder.is_dir() else "no such folder"
        raise SourceError(f"{folder} has no {' or '.join(patterns)} ({what}); it has: {there or 'nothing'}.")
    return list(found)
