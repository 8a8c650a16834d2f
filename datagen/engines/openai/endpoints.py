"""The endpoints of one model: which gets the next request, by health, load and the recipe's concurrency over all.

Everything here runs in one event loop, so nothing is locked. A request takes a lease before it makes its body, which
keeps the bodies alive down to what is really in flight.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datagen.engines.openai.circuit_breaker import Breaker
from datagen.engines.openai.concurrency import Pace

Clock = Callable[[], float]


@dataclass(slots=True, eq=False)
class Endpoint:
    """One base URL: its client, its limit and its health. `name` is the URL."""

    name: str
    client: Any
    pace: Pace
    breaker: Breaker = field(default_factory=Breaker)
    leases: "set[Lease]" = field(default_factory=set)

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return len(self.leases)

    def lost(self, patience: float, now: float) -> bool:
        """Whether it served nothing for `patience` seconds of trouble, and nothing from before is on its way."""
        since = self.breaker.bad_since
        return since is not None and now - since > patience and all(lease.begun > since for lease in self.leases)


@dataclass(slots=True, eq=False)
class Lease:
    """The right to send one request to an endpoint; give it back with exactly one method of `Pool`."""

    endpoint: Endpoint
    probe: bool
    begun: float


@dataclass(slots=True, eq=False)
class _Waiting:
    avoid: Endpoint | None
    ready: "asyncio.Future[Lease]"


class Pool:
    """Leases on endpoints.

    Args:
        endpoints: at least one.
        most: leases out at once, over all endpoints.
        clock: seconds, never running backwards.
    """

    def __init__(self, endpoints: Sequence[Endpoint], most: int, clock: Clock) -> None:
        self.endpoints = tuple(endpoints)
        self.most = most
        self.clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    async def lease(self, avoid: Endpoint | None = None, *, first: bool = False) -> Lease:
        """Wait for an endpoint that has room.

        `avoid` is where the request just failed: taken again only while no other endpoint is in health. `first` goes
        before those that wait already, so that a request that is asked again does not become the last of all.
        """
        waiting = _Waiting(avoid, asyncio.get_running_loop().create_future())
        (self._waiting.appendleft if first else self._waiting.append)(waiting)
        self._hand_out()
        try:
            return await waiting.ready
        except asyncio.CancelledError:
            if waiting.ready.done() and not waiting.ready.cancelled():
                self.cancelled(waiting.ready.result())
            raise

    @property
    def spare(self) -> bool:
        """Whether a lease is left that nobody waits for."""
        out = sum(endpoint.in_flight for endpoint in self.endpoints)
        return out < self.most and all(waiting.ready.done() for waiting in self._waiting)

    def spare_lease(self, avoid: Endpoint) -> Lease | None:
        """A spare lease for what is under way at `avoid` already, elsewhere if another endpoint is in health."""
        healthy = [endpoint for endpoint in self.endpoints if endpoint.breaker.closed]
        others = [endpoint for endpoint in healthy if endpoint is not avoid] or healthy
        endpoint = _least_loaded(one for one in others if one.in_flight < one.pace.limit) if self.spare else None
        return self._leased(endpoint, self.clock()) if endpoint else None

    def served(self, lease: Lease) -> None:
        """Return the lease after a reply, or after a refusal that concerns the request alone."""
        lease.endpoint.breaker.good(self.clock())
        self._back(lease, answered=True)

    def busy(self, lease: Lease) -> None:
        """Return the lease after 429 or 503."""
        now = self.clock()
        lease.endpoint.breaker.busy(now, lease.probe)
        lease.endpoint.pace.refused(lease.endpoint.in_flight - 1, now)
        self._back(lease, answered=False)

    def failed(self, lease: Lease, *, answered: bool) -> None:
        """Return the lease after a failure; `answered` says whether anything came (5xx, a body that is no reply)."""
        lease.endpoint.breaker.bad(self.clock(), lease.probe)
        self._back(lease, answered=answered)

    def cancelled(self, lease: Lease) -> None:
        """Return the lease of a request that says nothing of the endpoint."""
        lease.endpoint.breaker.let_go(lease.probe)
        self._back(lease, answered=False)

    def lost(self, patience: float) -> bool:
        """Whether every endpoint is lost."""
        now = self.clock()
        return all(endpoint.lost(patience, now) for endpoint in self.endpoints)

    def _back(self, lease: Lease, *, answered: bool) -> None:
        endpoint, now = lease.endpoint, self.clock()
        endpoint.leases.remove(lease)
        if answered:
            endpoint.pace.served(now - lease.begun, endpoint.in_flight, now)
        self._hand_out()

    def _hand_out(self) -> None:
        """Lease what can be leased, in order; set a timer for the next probe where nothing can."""
        now = self.clock()
        out = sum(endpoint.in_flight for endpoint in self.endpoints)
        held = [waiting for waiting in self._waiting if not waiting.ready.done()]
        kept: deque[_Waiting] = deque()
        for position, waiting in enumerate(held):
            endpoint = self._choose(waiting.avoid, now) if out < self.most else None
            if endpoint is None:
                kept.append(waiting)
                if out >= self.most or waiting.avoid is None:  # then there is nothing for those behind it either
                    kept.extend(held[position + 1 :])
                    break
                continue
            out += 1
            waiting.ready.set_result(self._leased(endpoint, now))
        self._waiting = kept
        self._set_alarm(now)

    def _leased(self, endpoint: Endpoint, now: float) -> Lease:
        lease = Lease(endpoint, endpoint.breaker.send(), now)
        endpoint.leases.add(lease)
        return lease

    def _choose(self, avoid: Endpoint | None, now: float) -> Endpoint | None:
        others = [e for e in self.endpoints if e is not avoid and e.breaker.closed]
        candidates = others if avoid is not None and others else self.endpoints
        return _least_loaded(e for e in candidates if e.in_flight < e.pace.limit and e.breaker.allows(now))

    def _set_alarm(self, now: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        opening = [e.breaker.open_until for e in self.endpoints if not e.breaker.closed and not e.breaker.probing]
        if self._waiting and opening:
            delay = max(0.0, min(opening) - now) + 0.001
            self._alarm = asyncio.get_running_loop().call_later(delay, self._hand_out)


def _least_loaded(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    return min(endpoints, key=lambda e: e.in_flight / e.pace.limit, default=None)
