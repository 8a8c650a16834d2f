"""A request that takes far longer than its like is sent again where there is room, and the first reply counts."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request, Sampling
from datagen.engines.openai import hedging
from datagen.engines.openai.concurrency import Pace
from datagen.engines.openai.endpoints import Endpoint, Lease, Pool
from datagen.engines.openai.engine import OpenAIEngine
from datagen.engines.openai.hedging import Hedging, Wanted
from datagen.engines.openai.reply import Completion, Kind, NoReply, Reply
from datagen.engines.protocol import Traffic
from tests.support import endpoint

ALIKE = (False, 1)
LATE = 100.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked for what is late all the time."""
    monkeypatch.setattr(hedging, "LOOK_SECONDS", 0.001)


def reply(text: str) -> Reply:
    return Reply((Completion(text, "stop"),), 1, 1)


class World:
    """Endpoints whose replies the test gives: `sent` are the leases of requests, and where their replies go."""

    def __init__(self, endpoints: int = 2, most: int = 10, served: int = 20, traffic: Traffic | None = None) -> None:
        self.now = 0.0
        self.endpoints = [Endpoint(f"http://{n}", None, Pace(10)) for n in range(endpoints)]
        self.pool = Pool(self.endpoints, most, lambda: self.now)
        self.hedging = Hedging(self.pool, traffic or Traffic(requests=1000))
        self.sent: list[tuple[Lease, asyncio.Future[Reply]]] = []
        self.cancelled: list[Lease] = []
        for _ in range(served):
            self.hedging.served(ALIKE, 1.0)

    async def send(self, lease: Lease) -> Reply:
        """As `Conversation` sends."""
        self.sent.append((lease, asyncio.get_running_loop().create_future()))
        try:
            got = await self.sent[-1][1]
        except NoReply:
            self.pool.failed(lease, answered=True)
            raise
        except BaseException:
            self.cancelled.append(lease)
            self.pool.cancelled(lease)
            raise
        self.pool.served(lease)
        return got

    async def asked(self, wanted: Wanted | None = None) -> "asyncio.Task[Reply]":
        """A request under way."""
        lease = await self.pool.lease()
        task = asyncio.create_task(self.hedging.reply(wanted or Wanted(ALIKE, self.send), lease))
        await asyncio.sleep(0)
        return task

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass, and what is late be looked for."""
        self.now += seconds
        await asyncio.sleep(0.02)

    @property
    def in_flight(self) -> list[int]:
        return [one.in_flight for one in self.endpoints]


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run it, and see that it leaves no task."""

    async def alone() -> None:
        await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


def test_the_first_reply_counts_and_the_request_that_hangs_is_cancelled() -> None:
    async def test() -> None:
        world = World()
        task = await world.asked()
        await world.pass_time(3.9)
        assert len(world.sent) == 1
        await world.pass_time(0.2)
        (first, _), (second, hedge) = world.sent
        assert second.endpoint is not first.endpoint
        hedge.set_result(reply("hedge"))
        assert (await task).completions[0].text == "hedge"
        assert world.cancelled == [first]
        assert world.in_flight == [0, 0]
        assert world.hedging.traffic == Traffic(requests=1001, hedged=1)

    run(test)


def test_a_reply_that_comes_after_all_cancels_its_hedge() -> None:
    async def test() -> None:
        world = World()
        task = await world.asked()
        await world.pass_time(LATE)
        (_, first), (second, _) = world.sent
        first.set_result(reply("first"))
        assert (await task).completions[0].text == "first"
        assert world.cancelled == [second]
        assert world.in_flight == [0, 0]

    run(test)


def test_both_at_once_are_one_reply() -> None:
    async def test() -> None:
        world = World(endpoints=1)
        task = await world.asked()
        await world.pass_time(LATE)
        for _, future in world.sent:
            future.set_result(reply("either"))
        assert (await task).completions[0].text == "either"
        assert world.in_flight == [0]
        await asyncio.sleep(0)

    run(test)


def test_a_hedge_that_fails_alone_changes_nothing_and_is_the_only_one() -> None:
    async def test() -> None:
        world = World()
        wanted = Wanted(ALIKE, world.send)
        task = await world.asked(wanted)
        await world.pass_time(LATE)
        world.sent[1][1].set_exception(NoReply(Kind.BROKEN, "hedge"))
        await world.pass_time(LATE)
        assert len(world.sent) == 2
        world.sent[0][1].set_exception(NoReply(Kind.BROKEN, "first"))
        with pytest.raises(NoReply, match="first"):
            await task
        again = await world.asked(wanted)  # the next try
        await world.pass_time(LATE)
        assert len(world.sent) == 3
        world.sent[2][1].set_result(reply("again"))
        assert (await again).completions[0].text == "again"
        assert world.hedging.traffic.hedged == 1

    run(test)


def test_a_request_that_fails_waits_for_its_hedge() -> None:
    async def test() -> None:
        for good in (True, False):
            world = World()
            task = await world.asked()
            await world.pass_time(LATE)
            world.sent[0][1].set_exception(NoReply(Kind.SILENT, "first"))
            await asyncio.sleep(0.01)
            assert not task.done()
            if good:
                world.sent[1][1].set_result(reply("hedge"))
                assert (await task).completions[0].text == "hedge"
            else:
                world.sent[1][1].set_exception(NoReply(Kind.REQUEST, "hedge"))
                with pytest.raises(NoReply, match="first"):
                    await task
            assert world.in_flight == [0, 0]

    run(test)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda: World(served=19), id="too few served"),
        pytest.param(lambda: World(most=1), id="no room"),
        pytest.param(lambda: World(traffic=Traffic(requests=9)), id="no budget"),
    ],
)
def test_what_is_not_hedged(world: Callable[[], World]) -> None:
    async def test() -> None:
        made = world()
        task = await made.asked()
        await made.pass_time(LATE)
        assert len(made.sent) == 1
        made.sent[0][1].set_result(reply("late"))
        await task

    run(test)


def test_nothing_is_hedged_while_others_wait_and_what_is_late_is_once_they_do_not() -> None:
    async def test() -> None:
        world = World(endpoints=1, most=2)
        hanging, other = await world.asked(), await world.asked()
        waiting = asyncio.create_task(world.pool.lease())
        await world.pass_time(LATE)
        world.sent[1][1].set_result(reply("other"))
        await other
        world.pool.served(await waiting)
        assert len(world.sent) == 2
        await world.pass_time(0)
        assert len(world.sent) == 3
        world.sent[2][1].set_result(reply("hedge"))
        await hanging

    run(test)


def test_requests_are_compared_with_their_like_and_a_server_that_is_slow_for_all_is_left_alone() -> None:
    world = World()
    for _ in range(20):
        world.hedging.served((True, 8), 50.0)
    assert world.hedging.late_after(ALIKE) == 4
    assert world.hedging.late_after((True, 8)) == 200
    assert world.hedging.late_after((True, 1)) == math.inf
    for _ in range(300):
        world.hedging.served(ALIKE, 0.001)
    assert world.hedging.late_after(ALIKE) == 2


def test_the_budget_is_a_tenth_of_the_requests() -> None:
    async def test() -> None:
        world = World(most=100, traffic=Traffic(requests=30))
        tasks = [await world.asked() for _ in range(8)]
        await world.pass_time(LATE)
        assert world.hedging.traffic == Traffic(requests=33, hedged=3)
        assert len(world.sent) == 11
        for _, future in world.sent[:8]:
            future.set_result(reply("late"))
        await asyncio.gather(*tasks)

    run(test)


def test_an_endpoint_that_is_down_gets_no_hedge() -> None:
    async def test() -> None:
        world = World()
        task = await world.asked()
        down = world.endpoints[1]
        for _ in range(10):
            down.breaker.bad(world.now, probe=False)
        await world.pass_time(LATE)
        assert [lease.endpoint for lease, _ in world.sent] == [world.endpoints[0]] * 2
        world.sent[1][1].set_result(reply("hedge"))
        await task

    run(test)


def test_who_is_cancelled_leaves_no_hedge_behind() -> None:
    async def test() -> None:
        for won in (False, True):
            world = World()
            task = await world.asked()
            await world.pass_time(LATE)
            if won:  # at the same moment
                world.sent[1][1].set_result(reply("hedge"))
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert world.in_flight == [0, 0]

    run(test)


@pytest.mark.timeout(100)
def test_requests_that_hang_do_not_hold_up_the_end_and_no_token_is_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hedging, "LEAST_SECONDS", 0.1)
    requests = [Request.make("m", (Message("user", f"What is {n} + 1?"),), Sampling()) for n in range(120)]
    hang = endpoint.sleeping(600)
    server = endpoint.Endpoint(faults=[*[endpoint.well] * 60, hang, *[endpoint.well] * 40, hang, hang])
    with endpoint.serving(server):
        section = ModelSection(engine="openai", model="m", base_urls=(server.url,), concurrency=16, timeout_seconds=900)
        with OpenAIEngine(section) as engine:
            replies = list(engine.stream(requests))
            traffic = engine.traffic
            assert not engine._tasks
    assert Counter(r.key for r in replies) == Counter(r.key for r in requests)
    assert {(r.finish, r.tokens_in, r.tokens_out) for r in replies} == {("stop", 10, 5)}
    assert 3 <= traffic.hedged <= 12
    assert (traffic.requests, traffic.retries) == (120 + traffic.hedged, 0)
    assert len(server.requests) == traffic.requests
