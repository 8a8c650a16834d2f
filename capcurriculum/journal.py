"""Journals: rows of a table that wait for their shard, written down as they come, so that a kill loses none of them.

A journal lies beside the shards and bears the name of the table's writer. Its lines are JSON, given to the kernel one
by one and never flushed to disk, so a power failure may cost what was not published yet.
"""

import dataclasses
import io
import json
import os
from collections.abc import Hashable, Iterable
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic

import polars as pl

from capcurriculum.tables import Row, Table, whole

#: Tuples become lists. It runs for every reply, so what `json.dumps` looks for anew each time is found once.
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class Journal(Generic[Row]):
    """What one thread of one process is about to append to a table; each journal has a file of its own."""

    def __init__(self, table: Table[Row]) -> None:
        self.table = table
        self.path: Path | None = None
        self._names = _columns(table.record)
        self._values = attrgetter(*self._names)
        self._file: io.FileIO | None = None
        self._waiting = False

    def note(self, rows: Iterable[Row]) -> None:
        """Write rows down."""
        for row in rows:
            line = (_encode(dict(zip(self._names, self._values(row), strict=True))) + "\n").encode("ascii")
            file = self._file = self._file or self._begun()
            self._waiting = True
            while (taken := file.write(line)) < len(line):  # a disk that gets full takes a part first
                line = line[taken:]

    def shelve(self, rows: Iterable[Row]) -> None:
        """Make these rows a shard; all that was noted must be among them."""
        self.table.append(rows)
        self._waiting = False
        if self._file:
            self._file.truncate(0)

    def close(self) -> None:
        """Remove the file, unless it holds what was never made a shard."""
        if self._file and self.path:
            self._file.close()
            self._file = None
            if not self._waiting:
                self.path.unlink()

    def _begun(self) -> io.FileIO:
        """The first file that nobody has, open to append to."""
        self.table.folder.mkdir(parents=True, exist_ok=True)
        for number in count():
            ending = f".{number}" if number else ""
            self.path = self.table.folder / f"journal{self.table.suffix}{ending}.jsonl"
            try:
                return io.FileIO(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666), "a")
            except FileExistsError:
                continue
        raise AssertionError


def left(table: Table[Any], *, everyone: bool = False) -> list[Path]:
    """The journals beside a table, in use or left by a killed process: of its writer, or of all."""
    suffix = table.suffix
    names = ("journal*.jsonl",) if everyone else (f"journal{suffix}.jsonl", f"journal{suffix}.*.jsonl")
    return sorted(path for name in names for path in table.folder.glob(name))


def take_over(table: Table[Row], *, everyone: bool = False) -> int:
    """Make a shard of what killed processes noted, and return how many rows that were; no process may still note.

    The columns in the record's `KEY` name a row, and the first of them what it is about; without `KEY` all columns do.
    A row that is in a shard already was published just before the kill, and is not added again. Where a shard has
    another reply in its place, which was asked for without knowing of the journal (by another worker or share), all
    that this journal says about the same is dropped, since its later rows may depend on the earlier ones.

    Raises:
        RunError: a shard is damaged.
    """
    if not (journals := left(table, everyone=everyone)):
        return 0
    names = getattr(table.record, "KEY", None) or _columns(table.record)
    key, about = attrgetter(*names), attrgetter(names[0])
    noted = [_rows(path, table.record) for path in journals]
    subjects = {about(row) for rows in noted for row in rows}
    there: dict[Hashable, Row] = {key(row): row for row in table.rows(pl.col(names[0]).is_in(list(subjects)))}
    missing: list[Row] = []
    for rows in noted:
        replaced = {about(row) for row in rows if there.get(key(row), row) != row}
        new = {key(row): row for row in rows if key(row) not in there and about(row) not in replaced}
        there |= new
        missing += new.values()
    table.append(missing)
    for path in journals:
        path.unlink()
    return len(missing)


def _columns(record: Any) -> list[str]:
    """The columns of a record's table."""
    return [field.name for field in dataclasses.fields(record)]


def _rows(path: Path, record: type[Row]) -> list[Row]:
    """The rows of a journal as a shard would give them back; a line torn by a kill is passed over."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            values = {name: whole(value) for name, value in json.loads(line).items()}
            found.append(record(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}))
        except (ValueError, TypeError, AttributeError):
            continue
    return found
