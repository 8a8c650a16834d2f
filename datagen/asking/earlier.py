"""Replies of another run, which a fork takes over wherever it would send the very same request.

A request's key holds all that can change its reply (model, messages, images, sampling, schema, rollout), so a reply
under the same key is the same observation. They are in one SQLite file of the fork, which outlives the other run; what
an engine failed to give is not among them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum import journal, locks
from capcurriculum.errors import RunError
from capcurriculum.rows import Request, Response
from capcurriculum.run import Run
from capcurriculum.tables import Table

FILE = "earlier.sqlite"
_COLUMNS = ("request_key", "text", "finish", "tokens_in", "tokens_out")


class Earlier:
    """The replies that a run may take over; none in a run that is no fork."""

    def __init__(self, run: Run) -> None:
        path = run.path / FILE
        self._replies: sqlite3.Connection | None = None
        if path.is_file():
            # An engine may take requests, one at a time, from a thread of its own.
            address = f"{path.absolute().as_uri()}?mode=ro"
            self._replies = sqlite3.connect(address, uri=True, check_same_thread=False)

    def __bool__(self) -> bool:
        return self._replies is not None

    def close(self) -> None:
        """Close the file."""
        if self._replies:
            self._replies.close()

    def reply(self, request: Request) -> Response | None:
        """The reply to this very request; None if there was none.

        Raises:
            RunError: the file is damaged.
        """
        if self._replies is None:
            return None
        try:
            found = self._replies.execute("select * from replies where key = ?", (request.key,)).fetchone()
        except sqlite3.Error as error:
            raise RunError(f"{FILE} of the run is damaged ({error}); remove it to ask everything again.") from error
        return Response(*found) if found else None


def store(origin: Run, path: Path) -> int:
    """Write the replies of `origin` to a new SQLite file; returns how many there are.

    Replies that a killed build left in its journal become rows of `origin` first.

    Raises:
        RunError: a table of `origin` is damaged, another process is writing it, or the file cannot be written.
    """
    if any(journal.left(table, everyone=True) for table in origin.replies):
        with locks.alone(origin.path):
            for table in origin.replies:
                journal.take_over(table, everyone=True)
    try:
        with closing(sqlite3.connect(path)) as replies, replies:
            replies.execute("create table replies (key primary key, text, finish, tokens_in, tokens_out) without rowid")
            for table in origin.replies:
                rows = _rows(table)
                replies.executemany("insert or ignore into replies values (?, ?, ?, ?, ?)", rows)
            (count,) = replies.execute("select count(*) from replies").fetchone()
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be written ({error}); make room, or fork elsewhere.") from error
    return int(count)


def _rows(table: Table[Any]) -> Iterator[tuple[Any, ...]]:
    given = table.scan().filter(pl.col("finish") != "error", pl.col("text").str.strip_chars() != "")
    for frame in given.select(_COLUMNS).collect_batches():
        yield from frame.iter_rows()
