"""How long a step and its engine worked and what went out, written as it happens: a kill loses one flush of it.

Replies and tokens need no account of their own: they stand in the tables, row by row.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple
from typing import TypeVar

from capcurriculum.ledger.cost import ASKED
from capcurriculum.run import Run
from datagen.engines.protocol import Traffic

Item = TypeVar("Item")


def timed(items: Iterable[Item], waited: Callable[[float], None]) -> Iterator[Item]:
    """Yield the same items, and say of each how many seconds it was waited for."""
    iterator = iter(items)
    while True:
        start = time.monotonic()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            waited(time.monotonic() - start)
        yield item


class Meter:
    """The clock of one step with one model.

    Wall time runs from making the meter; the engine's part of it is what passes while its next reply is waited for.
    """

    def __init__(self, run: Run, step: str, model: str, traffic: Traffic) -> None:
        self.run, self.step, self.model, self.traffic = run, step, model, traffic
        self._sent = astuple(traffic)
        self._noted = time.monotonic()
        self._engine = 0.0
        #: Replies that an earlier run had, since the meter was made.
        self.taken_over = self._taken_over = 0

    def waited(self, replies: Iterable[Item]) -> Iterator[Item]:
        """Yield the same items, adding up the seconds that each was waited for."""
        return timed(replies, self.wait)

    def wait(self, seconds: float) -> None:
        """Add seconds that the engine was waited for."""
        self._engine += seconds

    def note(self, rows: int) -> None:
        """Append an event with `rows` and with the requests and seconds since the last one."""
        now, sent = time.monotonic(), asdict(self.traffic)
        self.run.event(
            ASKED,
            step=self.step,
            model=self.model,
            rows=rows,
            taken_over=self.taken_over - self._taken_over,
            **{name: now - before for (name, now), before in zip(sent.items(), self._sent, strict=True)},
            seconds=round(now - self._noted, 3),
            engine_seconds=round(self._engine, 3),
        )
        self._noted, self._engine, self._taken_over = now, 0.0, self.taken_over
        self._sent = tuple(sent.values())
