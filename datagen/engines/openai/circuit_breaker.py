"""Circuit breaker of an endpoint; the caller passes the time in seconds.

Failures of the endpoint (no connection, 5xx, no reply in time, a body that is no reply) open it when they come one
after another with nothing served between. While it is open nothing is sent; then one request goes as a probe, and its
fate closes the breaker or opens it for twice as long.
"""

from dataclasses import dataclass, field

#: Failures in a row that open the breaker. High enough for a storm that hits one request in three by chance.
STREAK = 10
FIRST_OPEN_SECONDS = 1.0
LONGEST_OPEN_SECONDS = 60.0


@dataclass(slots=True)
class Breaker:
    """The state of one endpoint, closed when new. `last_good` and `bad_since` are times of the caller's clock."""

    streak: int = field(default=0, init=False)
    opened: int = field(default=0, init=False)
    open_until: float = field(default=0.0, init=False)
    probing: bool = field(default=False, init=False)
    last_good: float = field(default=float("-inf"), init=False)
    bad_since: float | None = field(default=None, init=False)

    @property
    def closed(self) -> bool:
        """Whether requests are sent without restriction."""
        return self.opened == 0

    def allows(self, now: float) -> bool:
        """Whether a request may be sent; while open, one probe at a time."""
        return self.closed or (now >= self.open_until and not self.probing)

    def send(self) -> bool:
        """Record a request that is sent; returns whether it is a probe."""
        self.probing = self.probing or not self.closed
        return not self.closed

    def good(self, now: float) -> None:
        """Record a success; closes the breaker."""
        self.streak, self.opened, self.probing = 0, 0, False
        self.last_good, self.bad_since = now, None

    def busy(self, now: float, probe: bool) -> None:
        """Record a refusal (429, 503): the endpoint is alive, but serves nothing."""
        if self.bad_since is None:
            self.bad_since = now
        if probe:
            self.streak, self.opened, self.probing = 0, 0, False

    def bad(self, now: float, probe: bool) -> None:
        """Record a failure; opens the breaker after STREAK of them in a row, or if it was a probe."""
        if self.bad_since is None:
            self.bad_since = now
        self.streak += 1
        if probe or (self.closed and self.streak >= STREAK):
            self.open_until = now + min(FIRST_OPEN_SECONDS * 2.0 ** min(self.opened, 20), LONGEST_OPEN_SECONDS)
            self.opened += 1
            self.probing = False

    def let_go(self, probe: bool) -> None:
        """Release a request that says nothing of the endpoint: cancelled, or its body could not be made."""
        if probe:
            self.probing = False
