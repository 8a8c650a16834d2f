"""How hard an endpoint is driven: the limit against simulated servers, pauses, the breaker, and who sends where."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from datagen.engines.openai.circuit_breaker import FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS, STREAK, Breaker
from datagen.engines.openai.concurrency import Pace, pause_seconds, retry_after_seconds
from datagen.engines.openai.endpoints import Endpoint, Pool

RTT = 1.0
REST = 1.0


def simulate(pace: Pace, accepts: Callable[[int], bool], seconds: float) -> tuple[list[int], int, int]:
    """Drive `pace` against a server that takes a request when `accepts(accepted in flight)`.

    A refusal comes back at once, an accepted request after about one second; a refused one rests for a second while
    others take its place. Returns the limit at each second, how many were served, and how many refused.
    """
    jitter = random.Random(5)
    events: list[tuple[float, int, float, bool]] = []  # when, tie, begun, accepted
    now, flying, taken, served, refused, tie = 0.0, 0, 0, 0, 0, 0
    resting: list[float] = []
    limits: list[int] = []
    while now < seconds:
        while flying < pace.limit and len(resting) < pace.ceiling:
            ok = accepts(taken)
            flying, taken, tie = flying + 1, taken + ok, tie + 1
            heapq.heappush(events, (now + (RTT * jitter.uniform(0.9, 1.1) if ok else 0.001), tie, now, ok))
        if not events:
            now = heapq.heappop(resting)
            continue
        now, _, begun, ok = heapq.heappop(events)
        while resting and resting[0] <= now:
            heapq.heappop(resting)
        flying, taken = flying - 1, taken - ok
        if ok:
            served += 1
            pace.served(now - begun, flying, now)
        else:
            refused += 1
            heapq.heappush(resting, now + REST * jitter.uniform(0.5, 1.0))
            pace.refused(flying, now)
        limits += [pace.limit] * (int(now) - len(limits))
    return limits, served, refused


def test_a_server_that_takes_all_keeps_the_ceiling() -> None:
    limits, served, refused = simulate(Pace(64), lambda taken: True, 20)
    assert set(limits) == {64}
    assert served > 64 * 18
    assert refused == 0


def test_the_limit_finds_what_a_server_holds_and_stays_near_it() -> None:
    limits, served, refused = simulate(Pace(256), lambda taken: taken < 20, 120)
    settled = limits[30:]
    assert max(settled) <= 60
    assert sum(settled) / len(settled) <= 40
    assert served >= 0.8 * 20 * 110
    # Without a limit each of 256 that rest a second is refused about once a second.
    assert refused < 0.35 * 256 * 120


def test_a_share_of_refusals_that_ignores_the_load_does_not_bring_the_limit_down() -> None:
    chance = random.Random(11)
    limits, served, _ = simulate(Pace(64), lambda taken: chance.random() > 0.3, 120)
    assert sum(limits) / len(limits) > 50
    assert served > 0.75 * 64 * 120  # refusals come back at once here, so the ideal is all of it


def test_refusals_of_one_round_trip_halve_the_limit_once() -> None:
    pace = Pace(64)
    for out in range(63, -1, -1):  # all 64 in flight come back at once, half of them refused
        if out % 2:
            pace.served(RTT, out, 1.0 + out / 1e6)
        else:
            pace.refused(out, 1.0 + out / 1e6)
    pace.refused(0, 3.0)
    assert pace.limit == 32


def test_the_limit_is_never_under_one_and_climbs_back_by_even_steps() -> None:
    pace = Pace(32)
    for second in range(200):
        for _ in range(32):
            pace.refused(0, float(second))
    assert pace.limit == 1
    climbed = []
    for second in range(200, 400):
        for place in range(40):
            pace.served(1.0, 0, second + place / 40)
        climbed.append(pace.limit)
    steps = {b - a for a, b in itertools.pairwise(climbed)}
    assert climbed[-1] == 32
    assert steps == {0, 2, 1}  # from 1 by twos, and the rest


def test_a_pause_keeps_what_the_server_asked_and_grows_with_its_silence() -> None:
    assert 7.0 <= pause_seconds(1, 7.0, 0.0, 0.99) < 8.0
    assert pause_seconds(1, 1e9, 0.0, 0.0) == 600.0
    assert [pause_seconds(n, None, 1000.0, 1.0) for n in (1, 2, 3, 4, 50)] == [0.5, 1.0, 2.0, 4.0, 30.0]
    assert [pause_seconds(n, None, 0.1, 1.0) for n in (1, 2, 3, 4, 50)] == [0.5, 1.0, 1.0, 1.0, 1.0]
    assert pause_seconds(3, None, 1000.0, 0.0) == 1.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("", None), ("soon", None), ("-5", None), ("nan", None), ("inf", None), ("1e3", None),
        ("0", 0.0), ("12", 12.0), ("1.5", 1.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 37.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, datetime(1994, 11, 6, 8, 49, tzinfo=UTC)) == seconds


def test_a_breaker_opens_after_a_streak_and_lets_one_probe_through_at_ever_longer_intervals() -> None:
    breaker = Breaker()
    for _ in range(STREAK - 1):
        breaker.bad(1.0, probe=False)
    breaker.good(2.0)  # a streak that is broken does not count
    for _ in range(STREAK):
        assert breaker.allows(3.0)
        breaker.bad(3.0, probe=False)
    assert not breaker.allows(3.0)
    opened = FIRST_OPEN_SECONDS
    now = 3.0
    for _ in range(10):
        breaker.bad(now, probe=False)  # what was in flight before it opened changes nothing
        assert not breaker.allows(now + opened - 0.01)
        now += opened
        assert breaker.allows(now)
        assert breaker.send()
        assert not breaker.allows(now)  # one probe at a time
        breaker.bad(now, probe=True)
        opened = min(2 * opened, LONGEST_OPEN_SECONDS)
    assert breaker.bad_since == 3.0
    now += opened
    assert breaker.send()
    breaker.good(now)
    assert breaker.closed
    assert breaker.allows(now)
    assert breaker.bad_since is None


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pool_of(count: int, ceiling: int, most: int = 100) -> tuple[Pool, list[Endpoint], Clock]:
    endpoints = [Endpoint(f"http://{n}", None, Pace(ceiling)) for n in range(count)]
    clock = Clock()
    return Pool(endpoints, most, clock), endpoints, clock


def test_leases_go_where_the_load_is_least_and_never_over_the_recipe() -> None:
    async def run() -> None:
        pool, (one, two), _ = pool_of(2, ceiling=8, most=9)
        one.pace.limit = 4
        leases = [await pool.lease() for _ in range(9)]
        assert (one.in_flight, two.in_flight) == (3, 6)  # in proportion to what each is allowed
        late = asyncio.create_task(pool.lease())
        await asyncio.sleep(0)
        assert not late.done()
        pool.served(next(lease for lease in leases if lease.endpoint is two))
        assert (await late).endpoint is two

    asyncio.run(run())


def test_who_is_asked_again_goes_first_and_elsewhere() -> None:
    async def run() -> None:
        pool, (one, two), _ = pool_of(2, ceiling=1)
        first, second = await pool.lease(), await pool.lease()
        assert (first.endpoint, second.endpoint) == (one, two)
        waiting = asyncio.create_task(pool.lease())
        await asyncio.sleep(0)
        again = asyncio.create_task(pool.lease(avoid=one, first=True))
        await asyncio.sleep(0)
        pool.failed(first, answered=False)
        assert (await waiting).endpoint is one  # what one gives back is not for the request that failed there
        assert not again.done()
        pool.served(second)
        assert (await again).endpoint is two

    asyncio.run(run())


def test_a_cancelled_wait_gives_its_lease_back() -> None:
    async def run() -> None:
        pool, (one,), _ = pool_of(1, ceiling=1)
        first = await pool.lease()
        waiting = [asyncio.create_task(pool.lease()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        pool.served(first)
        waiting[1].cancel()  # its lease was handed out in the line above, and it has not run since
        await asyncio.gather(*waiting[:2], return_exceptions=True)
        assert (await waiting[2]).endpoint is one
        assert one.in_flight == 1

    asyncio.run(run())


def test_a_lost_pool_is_one_where_every_endpoint_served_nothing_for_long() -> None:
    async def run() -> None:
        pool, _, clock = pool_of(2, ceiling=100)
        leases = [await pool.lease() for _ in range(2 * STREAK)]
        for lease in leases:
            pool.failed(lease, answered=True)
        clock.now += 61
        assert pool.lost(60)
        assert not pool.lost(62)
        probe = await pool.lease()
        assert probe.probe
        pool.busy(probe)
        assert pool.lost(60)
        last = await pool.lease()
        pool.served(last)
        assert not pool.lost(60)

    asyncio.run(run())


def test_a_pool_is_not_lost_while_something_from_before_the_trouble_is_on_its_way() -> None:
    async def run() -> None:
        pool, _, clock = pool_of(1, ceiling=2)
        long, refused = await pool.lease(), await pool.lease()
        clock.now += 1
        pool.busy(refused)
        clock.now += 100
        assert not pool.lost(60)
        pool.failed(long, answered=False)
        assert pool.lost(60)

    asyncio.run(run())
