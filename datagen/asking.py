"""Ask an engine for what a table does not hold yet, and append what comes back.

What is done is told by keys alone, so a step that was killed goes on where it stopped. With an engine that batches,
windows are cut from the whole list and an unfinished one is asked again whole: its replies are then the same bytes as
in an undisturbed run.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from capcurriculum.progress import Advance
from capcurriculum.rows import Request, Response
from datagen.accounting import Meter
from datagen.engines import Engine
from datagen.windows import windows

Owner = TypeVar("Owner")
FLUSH_ROWS = 256
FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ask(Generic[Owner]):
    """A request, whom its reply is for, and the key under which the table will hold it."""

    request: Request
    owner: Owner
    owner_id: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells whether it was done before."""
        return self.request.key, self.owner_id


Done = AbstractSet[tuple[str, str]]
Record = Callable[[Sequence[tuple[Ask[Owner], Response]]], None]


def ask_missing(
    asks: Sequence[Ask[Owner]], done: Done, engine: Engine, record: Record[Owner], advance: Advance, meter: Meter
) -> None:
    """Ask for every item of `asks` whose key is not in `done`, calling `record` once for each shard to write.

    `meter` is told how long it took.

    Raises:
        EngineError: the engine as a whole cannot go on; everything recorded so far stays.
    """

    def keep(pairs: Sequence[tuple[Ask[Owner], Response]]) -> None:
        record(pairs)
        advance(len(pairs))
        meter.note(len(pairs))

    if engine.window:
        for window in windows(asks, engine.window):
            missing = [ask for ask in window if ask.key not in done]
            if missing:
                keep(_answered(window, missing, engine, meter))
    else:
        _stream([ask for ask in asks if ask.key not in done], engine, keep, meter)


def _answered(
    window: Sequence[Ask[Owner]], missing: Sequence[Ask[Owner]], engine: Engine, meter: Meter
) -> list[tuple[Ask[Owner], Response]]:
    unique = {ask.request.key: ask.request for ask in window}
    responses = {response.key: response for response in meter.waited(engine.stream(unique.values()))}
    return [(ask, responses[ask.request.key]) for ask in missing]


def _stream(asks: Sequence[Ask[Owner]], engine: Engine, keep: Record[Owner], meter: Meter) -> None:
    owners: dict[str, list[Ask[Owner]]] = {}
    for ask in asks:
        owners.setdefault(ask.request.key, []).append(ask)
    requests: Iterator[Request] = (waiting[0].request for waiting in owners.values())
    buffer: list[tuple[Ask[Owner], Response]] = []
    flushed = time.monotonic()
    try:
        for response in meter.waited(engine.stream(requests)):
            buffer += [(ask, response) for ask in owners[response.key]]
            if len(buffer) >= FLUSH_ROWS or time.monotonic() - flushed > FLUSH_SECONDS:
                keep(buffer)
                buffer, flushed = [], time.monotonic()
    finally:
        # Also when the endpoint goes down or the user interrupts: what was paid for is kept.
        keep(buffer)
