"""From a group of requests to its responses, whatever the endpoints do: repeating, resting, giving up.

What a failure means: 400, 413 and 422 concern one request and become its error; 401, 403 and 404 stop the build; 429
and 503 are waited out and lower the load (`concurrency`); everything else is asked again, elsewhere if there is another
endpoint, `tries` times. A try counts only if the endpoints served something since the request failed before, be it just
the smallest question there is: rows must not be marked as failed for a server that is down. One that stays down stops
the build with a sentence. What only takes long is in `hedging`.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Request, Response
from datagen.engines.data_urls import DataURLs
from datagen.engines.openai.body import body
from datagen.engines.openai.concurrency import pause_seconds
from datagen.engines.openai.endpoints import Endpoint, Lease, Pool
from datagen.engines.openai.hedging import Hedging, Wanted
from datagen.engines.openai.http_client import Wire
from datagen.engines.openai.reply import Kind, NoReply, Reply, failed, responses
from datagen.engines.protocol import Traffic
from datagen.engines.same_prompt import Group
from datagen.image_decoding import ImageProblem

Emit = Callable[[Response], None]


@dataclass(slots=True)
class Conversation:
    """Talks to the endpoints of one model, in one event loop.

    `resting` is how many requests wait before they are asked again; `on_rest` is called when it grows. `singly` becomes
    true when an endpoint turns out not to give `n` completions.
    """

    section: ModelSection
    wire: Wire
    pool: Pool
    urls: DataURLs
    traffic: Traffic = field(default_factory=Traffic)
    resting: int = 0
    singly: bool = False
    hedging: Hedging = field(init=False)

    def __post_init__(self) -> None:
        self.hedging = Hedging(self.pool, self.traffic)

    async def serve(self, group: Group, emit: Emit, on_rest: Callable[[], None]) -> None:
        """Emit one response for each request of the group.

        Raises:
            EngineError: the endpoints cannot be used.
        """
        missing = group
        if len(group) > 1 and not self.singly:
            missing = await self._together(group, emit, on_rest)
        for request in missing:
            await self._alone(request, emit, on_rest)

    async def _together(self, group: Group, emit: Emit, on_rest: Callable[[], None]) -> Group:
        """One HTTP request for all; returns those that it left without a response."""
        try:
            reply = await self._reply(group[0], len(group), on_rest)
        except NoReply as problem:
            if problem.kind is Kind.REQUEST and await self._alone(group[0], emit, on_rest):
                self.singly = True  # so it was `n` that was refused
                return group[1:]
            refused = group[1:] if problem.kind is Kind.REQUEST else group
            for response in failed(refused, problem.why):
                emit(response)
            return ()
        for response in responses(group, reply):
            emit(response)
        self.singly = self.singly or len(reply.completions) == 1
        return group[len(reply.completions) :]

    async def _alone(self, request: Request, emit: Emit, on_rest: Callable[[], None]) -> bool:
        """Whether there was a reply; a response is emitted either way."""
        try:
            reply = await self._reply(request, 1, on_rest)
        except NoReply as problem:
            emit(*failed((request,), problem.why))
            return False
        emit(*responses((request,), reply))
        return True

    async def _reply(self, request: Request, n: int, on_rest: Callable[[], None]) -> Reply:
        """Ask until there is a reply; NoReply gives up the request, EngineError the endpoints."""
        avoid: Endpoint | None = None
        asked = failures = 0
        since = self.pool.clock()
        wanted = Wanted((bool(request.image_paths), n), lambda lease: self._send(lease, request, n))
        while True:
            lease = await self.pool.lease(avoid, first=asked > 0)
            self.traffic.requests += 1
            self.traffic.retries += asked > 0
            asked += 1
            try:
                return await self.hedging.reply(wanted, lease)
            except NoReply as problem:
                now = self.pool.clock()
                if problem.kind is Kind.REQUEST:
                    raise
                await self._check(lease.endpoint, problem)
                if problem.kind is not Kind.BUSY:
                    failures += await self._own_fault(lease, since)
                    if failures >= self.section.tries:
                        raise
                    avoid, since = lease.endpoint, now
                pause = self._pause(asked, problem, lease.endpoint)
            on_rest()
            self.resting += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self.resting -= 1

    async def _send(self, lease: Lease, request: Request, n: int) -> Reply:
        """Send one HTTP request and return its lease with the outcome."""
        try:
            data = await body(self.section, request, n, self.urls)
            reply = await self.wire.post(lease.endpoint, data)
        except ImageProblem as problem:
            self.pool.cancelled(lease)
            raise NoReply(Kind.REQUEST, f"the image cannot be sent: {problem.detail}") from problem
        except NoReply as problem:
            match problem.kind:
                case Kind.BUSY:
                    self.pool.busy(lease)
                case Kind.REQUEST | Kind.FORBIDDEN:
                    self.pool.served(lease)
                case Kind.BROKEN | Kind.SILENT:
                    self.pool.failed(lease, answered=problem.kind is Kind.BROKEN)
            raise
        except BaseException:
            self.pool.cancelled(lease)
            raise
        self.hedging.served((bool(request.image_paths), n), self.pool.clock() - lease.begun)
        self.pool.served(lease)
        return reply

    async def _check(self, endpoint: Endpoint, problem: NoReply) -> None:
        """Raise EngineError where the endpoint is lost or forbids the request."""
        lost = self.pool.lost(self.section.patience_seconds) and not await self._alive(endpoint)
        if lost or problem.kind is Kind.FORBIDDEN:
            raise EngineError(
                f"The endpoint {endpoint.name} does not serve {self.section.model}: {problem.why}; "
                "start or mend it and run the same command again, finished rows are kept."
            ) from problem

    async def _own_fault(self, lease: Lease, since: float) -> bool:
        """Whether others were served while this request failed; if not, see whether anything is, for the next time."""
        if any(endpoint.breaker.last_good >= since for endpoint in self.pool.endpoints):
            return True
        if lease.probe or lease.endpoint.breaker.closed:
            await self._alive(lease.endpoint)
        return False

    async def _alive(self, endpoint: Endpoint) -> bool:
        alive = await self.wire.alive(endpoint)
        if alive:
            endpoint.breaker.good(self.pool.clock())
        return alive

    def _pause(self, asked: int, problem: NoReply, endpoint: Endpoint) -> float:
        quiet, wanted = self.pool.clock() - endpoint.breaker.last_good, problem.retry_after
        if wanted is not None:  # longer than this, and the build is to stop with what the server said
            wanted = min(wanted, self.section.patience_seconds)
        return pause_seconds(asked, wanted, quiet, random.random())  # noqa: S311 - jitter, not a secret
