"""A table is a folder of immutable Parquet shards that only ever grows, but for shards that are read anew as a whole.

A shard is written under a temporary name, flushed to disk and renamed, so a reader never sees half of one and a kill at
any instant loses at most the rows not yet flushed, and of those none that is in a `journal`. A row's shape is its
dataclass; nothing else describes it.
"""

import dataclasses
import os
import threading
import typing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.files.unfinished import removed_if_it_fails

Row = TypeVar("Row")
#: Rows of a portion of each table: about 50 MB of text, or of ids.
QUESTIONS, ANSWERS, VERDICTS = 100_000, 1_600_000, 1_000_000

#: Folder of a table -> what a thread of this process holds while it appends to it: it takes the next number of a shard.
_APPENDING: dict[Path, threading.Lock] = {}

_ARROW: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    int | None: pa.int64(),
    float | None: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
}


def arrow_schema(record: type) -> pa.Schema:
    """The Arrow schema of a record's dataclass."""
    hints = typing.get_type_hints(record)
    return pa.schema([(f.name, _ARROW[hints[f.name]]) for f in dataclasses.fields(record)])


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` by `data` so that a reader, or a restart after a crash, sees the old file or the new one.

    `mode` are the permissions of the new file, less those that the process's umask takes.
    """
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.unlink(missing_ok=True)  # it would keep its own permissions
    with removed_if_it_fails(temporary):
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        publish(temporary, path)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished, flushed file its real name, and make the name itself durable."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """Rows of one record type below `folder`.

    Several processes may append at once if each has a `writer` name of its own, which its shards then bear.
    """

    folder: Path
    record: type[Row]
    writer: str = ""

    def shards(self) -> list[Path]:
        """Finished shards, oldest first."""
        return sorted(self.folder.glob("part-*.parquet"))

    def append(self, rows: Iterable[Row]) -> int:
        """Write `rows` as one new shard and return how many there were; no rows, no shard."""
        values = [_plain(row) for row in rows]
        if not values:
            return 0
        table = _written(values, arrow_schema(self.record))
        self.folder.mkdir(parents=True, exist_ok=True)
        with _APPENDING.setdefault(self.folder, threading.Lock()):
            last = self.shards()
            number = int(last[-1].stem.split("-")[1]) + 1 if last else 0
            path = self.folder / f"part-{number:06d}{self.suffix}.parquet"
            temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
            with removed_if_it_fails(temporary):
                with temporary.open("w+b") as handle:
                    pq.write_table(table, handle, compression="zstd")
                    checksums.seal(handle)
                    handle.flush()
                    os.fsync(handle.fileno())
                publish(temporary, path)
        return len(values)

    @property
    def suffix(self) -> str:
        """What the names of this writer's files end with."""
        return f"-{self.writer}" if self.writer else ""

    def drop(self, rows: pl.Expr) -> int:
        """Remove the shards of which every row fits, and return how many there were; nobody else may read or write.

        Raises:
            RunError: a shard is damaged.
        """
        gone = [shard for shard in self.shards() if self._collected(self.scan([shard]).select(rows.all())).item()]
        for shard in gone:
            shard.unlink()
        return len(gone)

    def scan(self, shards: Sequence[Path] | None = None) -> pl.LazyFrame:
        """All rows or those of some shards, lazily; an empty frame of the right schema when there is no shard.

        A column that a shard of an older version lacks is null.

        Raises:
            RunError: a shard is damaged.
        """
        shards = self.shards() if shards is None else list(shards)
        checksums.check(shards)
        empty = typing.cast("pl.DataFrame", pl.from_arrow(arrow_schema(self.record).empty_table()))
        if not shards:
            return empty.lazy()
        return pl.scan_parquet(shards, schema=empty.schema, missing_columns="insert", glob=False)

    def frame(self, *columns: str) -> pl.DataFrame:
        """Some or all columns, in memory.

        Raises:
            RunError: a shard is damaged.
        """
        return self._collected(self.scan().select(columns) if columns else self.scan())

    def _collected(self, lazy: pl.LazyFrame) -> pl.DataFrame:
        with damage(self.folder):
            return lazy.collect()

    def rows(self, *predicates: pl.Expr) -> Iterator[Row]:
        """The rows for which every predicate holds as records, shard by shard.

        Raises:
            RunError: a shard is damaged.
        """
        for shard in self.shards():
            checksums.check([shard])
            with damage(shard):
                frame = pl.read_parquet(shard, glob=False)
                found = list(self._records(frame.filter(*predicates) if predicates else frame))
            yield from found

    def count(self) -> int:
        """How many rows there are, from the shards' own footers; raises `RunError` where one is damaged."""
        return sum(map(checksums.rows, self.shards()))

    def where(self, *predicates: pl.Expr) -> list[Row]:
        """The rows for which every predicate holds; raises `RunError` where a shard is damaged."""
        with damage(self.folder):
            return list(self._records(self.scan().filter(*predicates).collect()))

    def keys(self, column: str, *predicates: pl.Expr) -> set[str]:
        """The values of one string column, in the rows for which every predicate holds."""
        return set(self._collected(self.scan().filter(*predicates).select(column))[column].to_list())

    def _records(self, frame: pl.DataFrame) -> Iterator[Row]:
        return records(frame, self.record)


def portions(shards: Sequence[Path], rows: int) -> Iterator[list[Path]]:
    """The shards in portions of about so many rows, each looked at; raises what `checksums.check` raises."""
    portion, size = list[Path](), 0
    for shard in shards:
        portion.append(shard)
        size += checksums.rows(shard)
        if size >= rows:
            checksums.check(portion)
            yield portion
            portion, size = [], 0
    if portion:
        checksums.check(portion)
        yield portion


@contextmanager
def damage(where: Path) -> Iterator[None]:
    """What a library says of a shard that is torn, empty, of other columns or gone becomes one sentence.

    Raises:
        RunError: `where`, a shard or a folder of shards, is damaged.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, TypeError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:300]
        named = "it" if where.suffix == ".parquet" else "the shard it names"
        raise RunError(
            f"The table {where} is damaged ({reason}); remove {named} and build again, which makes its rows anew."
        ) from error


def records(frame: pl.DataFrame, record: type[Row]) -> Iterator[Row]:
    """The rows of a frame as records; a null, which stands where an older shard has no such column, is the default."""
    names = [f.name for f in dataclasses.fields(typing.cast("typing.Any", record)) if f.name in frame.columns]
    lists = [name for name in names if isinstance(frame.schema[name], pl.List)]
    holes = any(frame[name].null_count() for name in names)
    for row in frame.select(names).iter_rows():
        values = {name: value for name, value in zip(names, row, strict=True) if not holes or value is not None}
        for name in lists:
            if name in values:
                values[name] = tuple(values[name])
        yield record(**values)


def _written(values: list[dict[str, object]], schema: pa.Schema) -> pa.Table:
    """Rows as Arrow has them; half a character, which JSON of others may spell and no file takes, becomes U+FFFD."""
    try:
        return pa.Table.from_pylist(values, schema=schema)
    except UnicodeEncodeError:
        return pa.Table.from_pylist([{k: whole(v) for k, v in row.items()} for row in values], schema=schema)


def whole(value: object) -> object:
    """A value as a file takes it, see `_written`."""
    if isinstance(value, list):
        return [whole(one) for one in value]
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


def _plain(row: object) -> dict[str, object]:
    fields = dataclasses.fields(typing.cast("typing.Any", row))
    return {f.name: list(v) if isinstance(v := getattr(row, f.name), tuple) else v for f in fields}
