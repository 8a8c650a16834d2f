"""Rows of files nobody vouches for, by their formats: JSON lines, JSON documents, CSV, Parquet, Arrow streams.

Every reader is a stream: one batch of rows is in memory, never the file. A row that cannot be read becomes a record
with its problem; a file that cannot be read, or lacks a column, is one `SourceError`.
"""

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources import documents, encoding
from datagen.sources.lines import Line, LineProblem, read_lines
from datagen.sources.record import Keys, Reading, Record, sentence

BATCH_ROWS = 64
#: So many rows are looked at before a column counts as missing from a file of JSON objects.
LOOK_AHEAD = 20
#: A picture as base64 is one field of a TSV.
MAX_FIELD = 100_000_000


def read_files(paths: Sequence[Path], reading: Reading) -> Iterator[Record]:
    """The records of several files, whose endings tell their formats, one after the other.

    Raises:
        SourceError: a file cannot be read, has an unknown ending, or lacks a column.
    """
    for path in paths:
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise SourceError(f"The source file {path} has an unknown format; known endings are {', '.join(READERS)}.")
        try:
            yield from _complete(reader(path, reading), path, reading.needed)
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


def _json_lines(path: Path, reading: Reading) -> Iterator[Record]:
    for line in read_lines(path, reading.keys.source):
        yield from_line(line, reading.keys)


def from_line(line: Line, keys: Keys) -> Record:
    """A JSON line as a record; one that is no object keeps its own key and its problem."""
    try:
        return keys.record(line.number, line.fields())
    except LineProblem as problem:
        return Record(line.key, line.number, {}, problem)


def _json(path: Path, reading: Reading) -> Iterator[Record]:
    """A JSON document, or JSON lines under the name of one."""
    encoding.refuse_wide(path)
    with path.open("rb") as handle:
        first = handle.read(64).removeprefix(encoding.MARK).lstrip()[:1]
    lines = first == b"{" and reading.inner == documents.ARRAY and documents.is_lines(path)
    yield from _json_lines(path, reading) if lines else documents.read(path, reading)


def _csv(path: Path, reading: Reading) -> Iterator[Record]:
    csv.field_size_limit(MAX_FIELD)
    with encoding.opened(path, newline="") as handle:
        # Where a header has no comma but semicolons, those part its columns: spreadsheets of many countries write so.
        header = handle.readline()
        handle.seek(0)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else next((mark for mark in ",;\t" if mark in header), ",")
        rows = csv.DictReader(handle, delimiter=delimiter, restkey="(too many)")
        try:
            for number, row in enumerate(rows, 1):
                yield _csv_row(number, row, reading.keys)
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


def _parquet(path: Path, reading: Reading) -> Iterator[Record]:
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
                    yield reading.keys.record(number, values)
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not a sound Parquet file after row {number}: {sentence(error)}.") from error


def _arrow(path: Path, reading: Reading) -> Iterator[Record]:
    """A stream file as `datasets.save_to_disk` writes it."""
    import pyarrow as pa

    number = 0
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    for values in batch.slice(start, BATCH_ROWS).to_pylist():
                        number += 1
                        yield reading.keys.record(number, values)
    except pa.ArrowException as error:
        if not reading.keep or not number:
            raise reading.broken(
                str(path), number, f"is not a sound Arrow stream after row {number}: {sentence(error)}"
            ) from error
        yield reading.cut_off(str(path), number)


READERS: Mapping[str, Callable[[Path, Reading], Iterator[Record]]] = {
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
