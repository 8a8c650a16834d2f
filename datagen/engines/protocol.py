"""One protocol for everything that answers: requests in, responses out as they finish, bounded in flight.

An engine takes requests lazily, only as far as it has room. A source that does not know its next request before it has
seen more replies gives None in between, and is asked again after the next response was consumed.

An engine that batches says so through `window`: its replies may depend in the last bit on who shares a batch, so
callers cut windows from the whole list of requests and ask an unfinished window again as a whole.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from capcurriculum.rows import Request, Response


@dataclass(slots=True)
class Traffic:
    """Requests sent since the engine was started, and how many of them were retries, or hedges of others under way.

    A request for several completions of one prompt counts once.
    """

    requests: int = 0
    retries: int = 0
    hedged: int = 0


class Engine(AbstractContextManager["Engine"], Protocol):
    """A model that can be asked."""

    @property
    def traffic(self) -> Traffic:
        """What went out so far."""

    @property
    def window(self) -> int | None:
        """How many requests it takes at once; None when every reply is independent of the others."""

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        """One response a request, in any order.

        `requests` is consumed in the caller's thread, as far as there is room. An item None means "nothing to ask right
        now": the iterator is asked again after the next response was consumed, and giving None while no response is
        outstanding is a mistake (RuntimeError). Its end means that nothing more will come.

        Raises:
            EngineError: the model or the endpoint as a whole cannot be used.
        """
