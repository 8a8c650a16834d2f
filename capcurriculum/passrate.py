"""Pass rate: how often the model that will be trained answers rightly, with its interval.

n counts every rollout the model answered, parsed or not, because an unparsed reply earns no reward either; a rollout
the engine failed to give is no attempt and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from capcurriculum.intervals import wilson
from capcurriculum.rows import Answer, Outcome


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


def pass_rate(rollouts: Sequence[Answer]) -> PassRate:
    """The pass rate over one question's rollouts, at least one of them answered."""
    answered = [r for r in rollouts if r.outcome != Outcome.FAILED]
    k = sum(r.outcome == Outcome.RIGHT for r in answered)
    return PassRate(k, len(answered), *wilson(k, len(answered)))
