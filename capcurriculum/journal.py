"""Rows that came but are in no shard yet, one JSON line each: a process killed at any instant loses no row it had.

A shard for every row would make thousands of files; the journal is one that is emptied whenever a shard is written.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

from capcurriculum.tables import Table

Row = TypeVar("Row")


class Journal(Generic[Row]):
    """The journal of a table, which one process at a time has; lists in its records are tuples, as in all of ours."""

    def __init__(self, table: Table[Row]) -> None:
        """Take over what an earlier process left: those rows become a shard."""
        self.table = table
        self.path = table.folder / "journal.jsonl"
        self.shelve(self._left())

    def note(self, row: Row) -> None:
        """Write a row down."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(dataclasses.asdict(cast("Any", row)))
        with self.path.open("a", encoding="ascii") as handle:
            handle.write(line + "\n")

    def shelve(self, rows: Iterable[Row]) -> None:
        """Make these rows, which are all that was noted, a shard."""
        self.table.append(rows)
        self.path.unlink(missing_ok=True)

    def _left(self) -> list[Row]:
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                found.append(
                    self.table.record(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
                )
            except (ValueError, TypeError, AttributeError):
                continue  # a line torn by a kill
        return found
