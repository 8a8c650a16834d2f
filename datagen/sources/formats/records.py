"""Records of untrusted files by their formats: JSON lines, JSON documents, CSV, Parquet, Arrow; or an image's texts.

Every reader is a stream: one batch of rows is in memory, never the file. A row that cannot be read becomes a record
with its problem; a file that cannot be read, or lacks a column, is one `SourceError`.
"""

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources.formats import beside_images, columnar, csv_tables, encoding, json_documents, json_form
from datagen.sources.formats.json_form import Form
from datagen.sources.formats.json_lines import LineProblem, read_lines
from datagen.sources.formats.record import Keys, Reading, Record, sentence

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 64
#: So many rows are looked at before a column counts as missing from a file of JSON objects.
LOOK_AHEAD = 20
TOO_MANY = "(too many)"
_ARROW_MARK, _ARROW_START = b"ARROW1", 8
#: An image as base64 is one field of a TSV.
MAX_FIELD = 100_000_000


def read_files(paths: Sequence[Path], reading: Reading) -> Iterator[Record]:
    """The records of several files, whose endings tell their formats, one after the other.

    Raises:
        SourceError: a file cannot be read, has an unknown ending, or lacks a column.
    """
    for path in paths:
        ending = path.suffix.lower()
        reader = beside_images.read if ending in beside_images.IMAGES else READERS.get(ending)
        if reader is None:
            raise SourceError(f"The source file {path} has an unknown format; known endings are {', '.join(READERS)}.")
        try:
            encoding.refuse_pointer(path)
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
                f"{where} has no column {column!r}{meant(column, found)}; it has {', '.join(sorted(found)) or 'none'}. "
                "Check that the source's kind, or the recipe's columns, fit this data."
            )


def _json(path: Path, reading: Reading) -> Iterator[Record]:
    """JSON lines, a JSON document, or JSON values one after the other; the file's beginning tells which."""
    match form(path, reading):
        case Form.LINES:
            return _lines(path, reading.keys, reading.limits.line)
        case Form.VALUES:
            return json_documents.read_values(path, reading)
        case _:
            return json_documents.read(path, reading)


def form(path: Path, reading: Reading) -> Form:
    """Which form of JSON a file holds, whatever its ending says; rows inside of something are in a document.

    Raises:
        SourceError: it is UTF-16, UTF-32, or a Git LFS pointer.
        OSError: it cannot be read.
    """
    named = Form.DOCUMENT if path.suffix.lower() == ".json" else Form.LINES
    return json_form.of(path, named) if reading.inner == json_documents.ARRAY else named


def _lines(path: Path, keys: Keys, most: int) -> Iterator[Record]:
    """Lines of objects; or, where the first begins an array, of conversations."""
    conversations = False
    for place, line in enumerate(read_lines(path, keys.source, most=most)):
        conversations = conversations or (place == 0 and line.text.startswith("["))
        try:
            value = line.value() if conversations else None
            yield keys.record(line.number, {"conversation": value} if isinstance(value, list) else line.fields())
        except LineProblem as problem:
            yield Record(line.key, line.number, {}, problem)


def line_records(path: Path, source: str, most: int) -> Iterator[Record]:
    """The objects of a file of JSON lines of at most `most` characters, each under the key of its line's own text.

    `read_files` gives them the keys of their values instead, which do not depend on blanks or on the order of fields.

    Raises:
        SourceError: the file cannot be read.
    """
    for line in read_lines(path, source, most):
        try:
            yield Record(line.key, line.number, line.fields())
        except LineProblem as problem:
            yield Record(line.key, line.number, {}, problem)


def _csv(path: Path, reading: Reading) -> Iterator[Record]:
    csv.field_size_limit(MAX_FIELD)
    number = 0
    with encoding.opened(path, newline="") as handle:
        first = handle.readline(MAX_FIELD)
        # A header without a comma but with semicolons is a spreadsheet's of many countries.
        delimiter = "\t" if path.suffix.lower() == ".tsv" else next((mark for mark in ",;\t|" if mark in first), ",")
        handle.seek(0)
        rows = csv_tables.rows(encoding.lines(handle, MAX_FIELD), delimiter)
        try:
            header = next(rows, csv_tables.Row([]))
            if header.problem:
                raise SourceError(f"The header of {path} {header.problem}.")
            # Blanks and a mark around a name are left out, unless it is asked for with them.
            names = [name if name in reading.needed else name.strip("\ufeff \t\r\n") for name in header.fields]
            if twice := [name for name in reading.needed if names.count(name) > 1]:
                raise SourceError(f"{path} has the column {twice[0]!r} {names.count(twice[0])} times; rename one.")
            for number, row in enumerate(rows, 1):
                yield _csv_row(number, names, row, reading.keys)
        except csv.Error as error:
            raise SourceError(f"{path} is not valid CSV after row {number}: {error}.") from error


def _csv_row(number: int, names: Sequence[str], row: csv_tables.Row, keys: Keys) -> Record:
    """A row as a record, refused where its quotes are astray, its fields not the header's, its bytes not UTF-8."""
    fields, problem = row.fields, row.problem
    undecoded = encoding.undecoded("".join(fields))
    if undecoded:
        fields = [encoding.replaced(text) for text in fields]
    values: dict[str, object] = dict(zip(names, fields, strict=False))
    if len(fields) > len(names):
        values[TOO_MANY] = fields[len(names) :]
    record = keys.record(number, values)
    if len(fields) != len(names):
        problem = problem or "does not have as many fields as the header"
    problem = problem or undecoded or ""
    return record.refused(Reason.MALFORMED_LINE, f"row {number} {problem}") if problem else record


def _parquet(path: Path, reading: Reading) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            if not file.metadata.num_rows:
                return
            for batch in columnar.batches(file, path, reading.limits.group_bytes, BATCH_ROWS):
                for values in columnar.rows(exact(batch)):
                    number += 1
                    yield columnar.record(values, number, reading.keys)
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not a sound Parquet file after row {number}: {sentence(error)}.") from error


def _arrow(path: Path, reading: Reading) -> Iterator[Record]:
    import pyarrow as pa

    number = 0
    try:
        for batch in arrow_batches(path):
            for start in range(0, batch.num_rows, BATCH_ROWS):
                for values in columnar.rows(exact(batch.slice(start, BATCH_ROWS))):
                    number += 1
                    yield columnar.record(values, number, reading.keys)
    except pa.ArrowException as error:
        if not reading.keep or not number:
            raise reading.broken(
                str(path), number, f"is not a sound Arrow stream after row {number}: {sentence(error)}"
            ) from error
        yield reading.cut_off(str(path), number)


def exact(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """The batch with narrow decimal numbers as they read: 0.1 in 32 bits is no 0.10000000149011612."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, column in enumerate(batch.schema):
        if column.type in (pa.float32(), pa.float16()):
            narrow = batch.column(place).cast(pa.float32())
            wide = pc.cast(pc.cast(narrow, pa.string()), pa.float64())
            batch = batch.set_column(place, column.name, wide)
    return batch


def arrow_batches(path: Path) -> Iterator["pa.RecordBatch"]:
    """The batches of an Arrow stream, as `datasets.save_to_disk` writes it, or of a file, which is a mark and a stream.

    Raises:
        pa.ArrowException: it is neither, or breaks off.
        OSError: it cannot be read.
    """
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        source.seek(_ARROW_START if source.read(len(_ARROW_MARK)) == _ARROW_MARK else 0)
        with pa.ipc.open_stream(source) as stream:
            yield from stream


READERS: Mapping[str, Callable[[Path, Reading], Iterator[Record]]] = {
    ".jsonl": _json,
    ".jsonlines": _json,
    ".ndjson": _json,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}


def _of_macos(path: Path, folder: Path) -> bool:
    """Whether a file is what macOS packs beside another one, with its name and none of its rows."""
    parts = path.parts[len(folder.parts) :]
    return "__MACOSX" in parts or path.name.startswith("._")


def find_files(folder: Path, patterns: Sequence[str], what: str) -> list[Path]:
    """The files below `folder` that match any of the glob patterns, in the order of the patterns and of their names.

    Raises:
        SourceError: none does, or one leads out of the folder.
    """
    root = folder.resolve()
    found: dict[Path, None] = {}
    for pattern in patterns:
        try:
            matches = sorted(path for path in folder.glob(pattern) if path.is_file() and not _of_macos(path, folder))
        except (ValueError, NotImplementedError) as error:
            raise SourceError(f"{pattern!r} is no pattern of files below {folder} ({error}).") from error
        # A Hub snapshot links into the cache beside it, so links are followed; `..` in a pattern is not.
        if matches and ".." in Path(pattern).parts:
            raise SourceError(f"The pattern {pattern!r} leads out of {root}; name files below it.")
        found |= dict.fromkeys(matches)
    if not found:
        if not folder.is_dir():
            raise SourceError(f"There is no folder {folder}; check path in the recipe ({what}).")
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:12])
        raise SourceError(f"{folder} has no {' or '.join(patterns)} ({what}); it has: {there or 'nothing'}.")
    return list(found)
