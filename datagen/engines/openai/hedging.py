"""Hedged requests (Dean and Barroso 2013, "The tail at scale"): one that takes much longer than its like is sent again.

The first reply counts and the other request is cancelled. Only where it costs nobody a place: with fewer in flight than
the limit and nothing waiting, which is at the end of a step, where one slow request would else hold up all.
"""

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from datagen.engines.openai.endpoints import Lease, Pool
from datagen.engines.openai.reply import NoReply, Reply
from datagen.engines.protocol import Traffic

#: A request is late at so many times what all but one in twenty of its like took, and not before so many seconds.
MULTIPLE, QUANTILE, LEAST_SECONDS = 4.0, 0.95, 2.0
#: Replies of its like that are needed to tell, and how many of the last ones are looked at.
ENOUGH, REMEMBERED = 20, 256
#: Requests that may be sent in addition, as a share of the others.
BUDGET = 0.1
LOOK_SECONDS = 0.25

#: What a request's time depends on: whether it shows an image, and how many completions it asks for.
Like = tuple[bool, int]
Send = Callable[[Lease], Coroutine[Any, Any, Reply]]


@dataclass(slots=True, eq=False)
class Wanted:
    """A reply that is wanted, sent for with `send`. It is hedged once at the most, however often it is tried.

    `lease` is that of the try under way, and `task` what waits for it.
    """

    like: Like
    send: Send
    lease: Lease | None = None
    task: "asyncio.Task[Any] | None" = None
    hedge: "asyncio.Task[Reply | None] | None" = None
    won: Reply | None = None


class Hedging:
    """Late requests of one model, in one event loop. `traffic` gets what is sent in addition."""

    def __init__(self, pool: Pool, traffic: Traffic) -> None:
        self.pool, self.traffic = pool, traffic
        self._seconds: defaultdict[Like, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._flying: dict[Wanted, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def served(self, like: Like, seconds: float) -> None:
        """Record how long a reply took."""
        self._seconds[like].append(seconds)

    def late_after(self, like: Like) -> float:
        """After how many seconds a request is late; infinite while too few of its like were served."""
        known = self._seconds[like]
        if len(known) < ENOUGH:
            return math.inf
        return max(MULTIPLE * sorted(known)[int(QUANTILE * (len(known) - 1))], LEAST_SECONDS)

    async def reply(self, wanted: Wanted, lease: Lease) -> Reply:
        """The first reply to a request that is sent now with `lease`, and to its hedge, if it gets one.

        Raises:
            NoReply: why the request itself brought none, once its hedge has none either.
        """
        wanted.lease, wanted.task = lease, asyncio.current_task()
        self._flying[wanted] = None
        self._timer = self._timer or asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        try:
            return await wanted.send(lease)
        except asyncio.CancelledError:
            # Of the hedge that won, unless somebody else cancels as well.
            if wanted.won is None or wanted.task is None or wanted.task.uncancel():
                raise
            return wanted.won
        except NoReply:
            wanted.task = None
            if wanted.hedge is None or (won := await wanted.hedge) is None:
                raise
            return won
        finally:
            wanted.task = None
            del self._flying[wanted]
            if not self._flying and self._timer:
                self._timer.cancel()
                self._timer = None
            if wanted.hedge and not wanted.hedge.done():
                wanted.hedge.cancel()
                await asyncio.wait({wanted.hedge})

    def _look(self) -> None:
        """Hedge what is late, the oldest first."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        if not self.pool.spare:
            return
        now, late = self.pool.clock(), {like: self.late_after(like) for like in self._seconds}
        for wanted in list(self._flying):
            if wanted.lease is None or wanted.task is None or wanted.hedge is not None:
                continue
            if now - wanted.lease.begun <= late.get(wanted.like, math.inf):
                continue
            sent = self.traffic.requests - self.traffic.hedged
            if self.traffic.hedged + 1 > BUDGET * sent or not (lease := self.pool.spare_lease(wanted.lease.endpoint)):
                return
            self.traffic.requests += 1
            self.traffic.hedged += 1
            wanted.hedge = asyncio.create_task(self._again(wanted, lease))

    async def _again(self, wanted: Wanted, lease: Lease) -> Reply | None:
        """The reply of a hedge, which ends the request that it is for; None where it failed."""
        try:
            reply = await wanted.send(lease)
        except NoReply:
            return None
        if wanted.task is not None:
            wanted.won = reply
            wanted.task.cancel()
        return reply
