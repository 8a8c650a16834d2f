"""Pass rate: how often the model that will be trained answers rightly, with its interval.

n counts every rollout the model answered, parsed or not, because an unparsed reply earns no reward either; a rollout
the engine failed to give is no attempt and is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capcurriculum.rows import Answer, Outcome

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class PassRate:
    """k right of n, and the 95 % Wilson interval."""

    k: int
    n: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """k / n."""
        return self.k / self.n


def wilson(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Score interval for k successes of n (Wilson 1927, JASA 22:209-212); n must be positive."""
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # At the ends the formula gives 0 and 1 exactly, and floating point nearly so.
    return (0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def pass_rate(rollouts: Sequence[Answer]) -> PassRate:
    """The pass rate over one question's rollouts, at least one of them answered."""
    answered = [r for r in rollouts if r.outcome != Outcome.FAILED]
    k = sum(r.outcome == Outcome.RIGHT for r in answered)
    return PassRate(k, len(answered), *wilson(k, len(answered)))
