"""Concurrency limit of an endpoint, and how long a refused request waits. No clock and no network in here.

`Pace` is additive increase and multiplicative decrease on 429 and 503, decided once a round trip and not once a
response, with one addition: **a cut that does not help is taken back**. Some endpoints refuse a share of all requests
whatever the load (a rate limit shared with others, one sick replica behind a balancer); plain AIMD then creeps along at
one request. So a cut is judged one round trip later: if requests are refused as often as before and served requests a
second fell along with the limit, the load was not the cause, the limit is restored and the next cut waits longer.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CUT = 0.5
#: Refused shares up to this are noise.
TOLERATED = 0.02
#: Rounds that pass before a limit that was restored may be cut again; doubled each time, up to the second number.
FIRST_HOLD, LONGEST_HOLD = 4, 64
#: Results that a decision needs (or as many as the limit, where that is less).
ENOUGH = 32
FIRST_PAUSE_SECONDS = 0.5
#: How long a refused request waits at most while its endpoint serves others, and in any case.
BUSY_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 600.0


@dataclass(slots=True)
class _Cut:
    """The rates before the limit was cut, which the next round compares with its own."""

    limit: int
    served_rate: float | None
    refused_share: float


@dataclass(slots=True)
class Pace:
    """The limit on requests in flight to one endpoint, between 1 and `ceiling`, where it starts."""

    ceiling: int
    limit: int = field(init=False)
    _cut: _Cut | None = field(default=None, init=False)
    _hold: int = field(default=0, init=False)
    _next_hold: int = field(default=FIRST_HOLD, init=False)
    _round_trip: float = field(default=0.0, init=False)
    _begun: float | None = field(default=None, init=False)
    _served: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.limit = self.ceiling

    def served(self, seconds: float, in_flight: int, now: float) -> None:
        """Record a request that was answered after `seconds`, with `in_flight` others still out at `now`."""
        self._round_trip = seconds if not self._round_trip else 0.9 * self._round_trip + 0.1 * seconds
        if self._counting(in_flight, now):
            self._served += 1
            self._decide(now)

    def refused(self, in_flight: int, now: float) -> None:
        """Record a refusal (429, 503)."""
        if self._counting(in_flight, now):
            self._refused += 1
            self._decide(now)

    def _counting(self, in_flight: int, now: float) -> bool:
        """A round begins when what was sent under a higher limit has drained; what comes before counts for nothing."""
        if self._begun is None and in_flight <= self.limit:
            self._begun, self._served, self._refused = now, 0, 0
            return True
        return self._begun is not None

    def _decide(self, now: float) -> None:
        assert self._begun is not None
        elapsed, results = now - self._begun, self._served + self._refused
        if self._refused >= max(self.limit, 8) and self._refused > self._served and not self._hold:
            # A flood of refusals, faster than any reply: no reason to wait a whole round trip.
            self._lower(self._cut.served_rate if self._cut else None)
        elif elapsed >= self._round_trip and results >= min(self.limit, ENOUGH) and elapsed > 0:
            self._close_round(self._served / elapsed, self._refused / results)

    def _close_round(self, served_rate: float, refused_share: float) -> None:
        cut, self._cut, self._begun = self._cut, None, None
        if cut and self._useless(cut, served_rate, refused_share):
            self.limit = cut.limit
            self._hold, self._next_hold = self._next_hold, min(2 * self._next_hold, LONGEST_HOLD)
            return
        if cut:
            self._next_hold = FIRST_HOLD
        if self._hold:
            self._hold -= 1
        elif refused_share > TOLERATED:
            self._lower(served_rate, refused_share)
            return
        self.limit = min(self.ceiling, self.limit + max(1, self.ceiling // 16))

    def _lower(self, served_rate: float | None, refused_share: float = 1.0) -> None:
        self._begun = None
        if self.limit > 1:
            self._cut = self._cut or _Cut(self.limit, served_rate, refused_share)
            self.limit = int(self.limit * CUT)

    def _useless(self, cut: _Cut, served_rate: float, refused_share: float) -> bool:
        if cut.served_rate is None or refused_share < cut.refused_share / 2:
            return False
        # Load-made refusals: served requests a second stay. Refusals that ignore the load: they fall with the limit.
        return served_rate < cut.served_rate * (1 + self.limit / cut.limit) / 2


def pause_seconds(refusals: int, retry_after: float | None, quiet_seconds: float, jitter: float) -> float:
    """How long a request waits before it is sent again.

    Args:
        refusals: how often this request failed so far, at least 1.
        retry_after: what the server asked for; never undercut, except beyond ten minutes.
        quiet_seconds: since the endpoint last served anything. The longest pause grows with it, so a request with bad
            luck at a working endpoint waits little and a dead endpoint is asked ever more rarely.
        jitter: in [0, 1), so that requests refused together do not come back together.
    """
    longest = min(max(quiet_seconds, BUSY_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(refusals - 1, 20), longest)
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER_SECONDS) + FIRST_PAUSE_SECONDS * jitter
    return pause * (0.5 + jitter / 2)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """A `Retry-After` header (RFC 9110: seconds, or an HTTP date) as seconds from `now`; None where it says nothing."""
    if not header:
        return None
    try:
        return max(0.0, float(header)) if header.strip().replace(".", "", 1).isdecimal() else _until(header, now)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:  # the RFC's dates are all GMT, and "-0000" is read as no zone at all
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
