"""Ask an engine for the rows that a table lacks, and append them.

Rows are known by their keys alone, so a killed step resumes where it stopped. Requests are rendered one by one as the
engine has room, so memory does not grow with their number. For an engine that batches, windows are cut from the whole
list and an unfinished one is asked again as a whole: its replies are then byte-identical to those of an undisturbed
run.

A model that fails from its first reply on is not asked to the end (see `outcomes`). Replies that may belong to such a
streak are held back until it is decided: they are no verdict on their rows, and the next run asks again. Every
other row is noted in a journal at once, and appended to the table together with more.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from capcurriculum.journal import Journal
from capcurriculum.render.progress import Advance, Display
from capcurriculum.rows import Request, Response
from capcurriculum.tables import Table
from datagen.asking.earlier import Earlier
from datagen.asking.meter import Meter
from datagen.asking.outcomes import Heard
from datagen.batched import windows
from datagen.engines.protocol import Engine

Item = TypeVar("Item")
Row = TypeVar("Row")
_In = TypeVar("_In", contravariant=True)
_Row = TypeVar("_Row")
FLUSH_ROWS = 1024
FLUSH_SECONDS = 5.0


class Job(Protocol[_In, _Row]):
    """What is asked, and what becomes of the replies."""

    @property
    def heard(self) -> Heard:
        """Outcomes of the replies so far; one object for the whole step."""

    def done(self, item: _In) -> bool:
        """Whether the table holds its reply."""

    def request(self, item: _In) -> Request:
        """The request for it."""

    def row(self, item: _In, response: Response) -> _Row:
        """The reply as a row; called as soon as it arrives, so that what depends on it can be asked next."""

    @property
    def table(self) -> Table[_Row]:
        """Where the rows go."""


@dataclass(frozen=True, slots=True)
class Line:
    """The progress line of a step: its `name`, `total` rows (None: not known before), and how many were `done` before.

    `finished`, for a line that counts something else than rows, returns how many were finished since its last call.
    """

    display: Display
    name: str
    total: int | None
    done: int = 0
    finished: Callable[[], int] | None = None


def ask_missing(items: Iterable[Item | None], job: Job[Item, Row], engine: Engine, meter: Meter, line: Line) -> None:
    """Ask for every item that is not done, and record the time in `meter`.

    `items` may hold None for engines that do not batch; see `Engine.stream`.

    Raises:
        EngineError: the engine as a whole cannot go on, or each of the first requests failed alike. Rows written so
            far stay.
    """
    job.heard.begin(engine.traffic)
    with line.display.step(line.name, line.total, line.done, job.heard.words) as advance:
        rows = Rows(job, meter, line, advance)
        try:
            if engine.window:
                _in_windows(items, engine.window, job, engine, rows)
            else:
                _stream(items, job, engine, rows)
            rows.release()
        finally:
            # Also when the endpoint goes down or the user interrupts: replies that were paid for are kept.
            rows.close()
    for sentence in job.heard.closing(line.name):
        line.display.note(sentence)


class Rows(Generic[Item, Row]):
    """Buffer of rows for the table; those of an undecided streak are held back."""

    def __init__(self, job: Job[Item, Row], meter: Meter, line: Line, advance: Advance) -> None:
        self.ready: list[Row] = []
        self._earlier = Earlier(meter.run)
        self._journal = Journal(job.table)
        self.meter = meter
        self._job, self._line, self._advance = job, line, advance
        self._waiting: dict[bool, list[Row]] = {}
        self._unsaid = 0

    def take(self, item: Item, request: Request, response: Response) -> None:
        """Make a reply a row.

        Raises:
            EngineError: the model fails for every request.
        """
        row, seeing, heard = self._job.row(item, response), bool(request.image_paths), self._job.heard
        reading = heard.note(item, request, response, row)
        if warning := heard.all_cut_off(request, reading):
            self._line.display.note(warning)
        undecided = heard.undecided(request)
        if undecided and reading.why and reading.counts:
            self._waiting.setdefault(seeing, []).append(row)
        else:
            self._make_ready([*([] if undecided else self._waiting.pop(seeing, [])), row])

    @property
    def forked(self) -> bool:
        """Whether there are replies of an earlier run."""
        return bool(self._earlier)

    def taken_over(self, item: Item, request: Request) -> bool:
        """Make the reply of an earlier run a row, if it had the same request; raises as `take`."""
        response = self._earlier.reply(request)
        if response is None:
            return False
        self.meter.taken_over += 1
        self.take(item, request, response)
        if len(self.ready) >= FLUSH_ROWS:
            self.keep()
        return True

    def keep(self) -> None:
        """Write the rows that are ready. While some are held back, nothing counts as finished."""
        rows, self.ready = self.ready, []
        self._journal.shelve(rows)
        self.meter.note(len(rows))
        self._unsaid += len(rows)
        if not self._waiting:
            self._advance(self._line.finished() if self._line.finished else self._unsaid)
            self._unsaid = 0

    def release(self) -> None:
        """Make the rows that are held back ready: all is asked, and they were too few for a verdict on the model."""
        for waiting in self._waiting.values():
            self._make_ready(waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Write the rows that are ready; those that cannot be written stay in the journal."""
        try:
            self.keep()
        finally:
            self._journal.close()
            self._earlier.close()

    def _make_ready(self, rows: list[Row]) -> None:
        self.ready += rows
        self._journal.note(rows)


def _in_windows(
    items: Iterable[Item | None], size: int, job: Job[Item, Row], engine: Engine, rows: Rows[Item, Row]
) -> None:
    for window in windows((item for item in items if item is not None), size):
        missing = [item for item in window if not job.done(item)]
        if missing:
            if rows.ready:
                rows.keep()
            requests = {id(item): job.request(item) for item in window}
            missing = [item for item in missing if not rows.taken_over(item, requests[id(item)])]
            # A fork sends what is new alone, since its batches are others in any case.
            sent = [requests[id(item)] for item in missing] if rows.meter.taken_over else requests.values()
            unique = {request.key: request for request in sent}
            responses = {response.key: response for response in rows.meter.waited(engine.stream(unique.values()))}
            for item in missing:
                request = requests[id(item)]
                rows.take(item, request, responses[request.key])


def _stream(items: Iterable[Item | None], job: Job[Item, Row], engine: Engine, rows: Rows[Item, Row]) -> None:
    waiting: dict[str, tuple[Request, list[Item]]] = {}
    flushed = time.monotonic()
    for response in rows.meter.waited(engine.stream(_requests(items, job, waiting, rows))):
        request, fellows = waiting.pop(response.key)
        for item in fellows:
            rows.take(item, request, response)
        if len(rows.ready) >= FLUSH_ROWS or time.monotonic() - flushed > FLUSH_SECONDS:
            rows.keep()
            flushed = time.monotonic()


def _requests(
    items: Iterable[Item | None],
    job: Job[Item, Row],
    waiting: dict[str, tuple[Request, list[Item]]],
    rows: Rows[Item, Row],
) -> Iterator[Request | None]:
    """The requests of items that are not done; one that is in flight or was answered earlier is not sent again."""
    for item in items:
        if item is None:
            yield None
        elif not job.done(item):
            request = job.request(item)
            if rows.taken_over(item, request):
                continue
            if request.key in waiting:
                waiting[request.key][1].append(item)
            else:
                waiting[request.key] = (request, [item])
                yield request
