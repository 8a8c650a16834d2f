"""Ask an engine for what a table does not hold yet, and append what comes back.

What is done is told by keys alone, so a step that was killed goes on where it stopped; requests are made one by one as
the engine has room, so a step's memory does not grow with what is asked. With an engine that batches, windows are cut
from the whole list and an unfinished one is asked again whole: its replies are then the same bytes as in an undisturbed
run.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from capcurriculum.progress import Advance
from capcurriculum.rows import Request, Response
from datagen.accounting import Meter
from datagen.engines import Engine
from datagen.windows import windows

Item = TypeVar("Item")
Row = TypeVar("Row")
_In = TypeVar("_In", contravariant=True)
_Row = TypeVar("_Row")
FLUSH_ROWS = 1024
FLUSH_SECONDS = 5.0


class Job(Protocol[_In, _Row]):
    """What is asked, and what becomes of the replies."""

    def done(self, item: _In) -> bool:
        """Whether the table holds its reply."""

    def request(self, item: _In) -> Request:
        """What the engine is asked."""

    def row(self, item: _In, response: Response) -> _Row:
        """The reply as a row. Called as soon as it is there, so that what depends on it can be asked next."""

    def append(self, rows: Sequence[_Row]) -> None:
        """Write one shard."""


def ask_missing(
    items: Iterable[Item | None], job: Job[Item, Row], engine: Engine, advance: Advance, meter: Meter
) -> None:
    """Ask for every item that is not done; `meter` is told how long it took.

    A None among the items, for engines that do not batch, means what it means in `Engine.stream`.

    Raises:
        EngineError: the engine as a whole cannot go on; everything recorded so far stays.
    """
    if engine.window:
        for window in windows((item for item in items if item is not None), engine.window):
            missing = [item for item in window if not job.done(item)]
            if missing:
                _keep(_answered(window, missing, job, engine, meter), job, advance, meter)
    else:
        _stream(items, job, engine, advance, meter)


def _keep(rows: Sequence[Row], job: Job[Item, Row], advance: Advance, meter: Meter) -> None:
    job.append(rows)
    advance(len(rows))
    meter.note(len(rows))


def _answered(
    window: Sequence[Item], missing: Sequence[Item], job: Job[Item, Row], engine: Engine, meter: Meter
) -> list[Row]:
    requests = {id(item): job.request(item) for item in window}
    unique = {request.key: request for request in requests.values()}
    responses = {response.key: response for response in meter.waited(engine.stream(unique.values()))}
    return [job.row(item, responses[requests[id(item)].key]) for item in missing]


def _stream(items: Iterable[Item | None], job: Job[Item, Row], engine: Engine, advance: Advance, meter: Meter) -> None:
    waiting: dict[str, list[Item]] = {}
    buffer: list[Row] = []
    flushed = time.monotonic()
    try:
        for response in meter.waited(engine.stream(_requests(items, job, waiting))):
            buffer += [job.row(item, response) for item in waiting.pop(response.key)]
            if len(buffer) >= FLUSH_ROWS or time.monotonic() - flushed > FLUSH_SECONDS:
                _keep(buffer, job, advance, meter)
                buffer, flushed = [], time.monotonic()
    finally:
        # Also when the endpoint goes down or the user interrupts: what was paid for is kept.
        _keep(buffer, job, advance, meter)


def _requests(
    items: Iterable[Item | None], job: Job[Item, Row], waiting: dict[str, list[Item]]
) -> Iterator[Request | None]:
    """The requests of items that are not done; one that is in flight already is not sent again."""
    for item in items:
        if item is None:
            yield None
        elif not job.done(item):
            request = job.request(item)
            fellows = waiting.setdefault(request.key, [])
            fellows.append(item)
            if len(fellows) == 1:
                yield request
