"""What is kept of a training of the comparison. Reading it needs no torch."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """Means over a step's replies: reward, share right, tokens; and the share of prompts whose rewards differ."""

    reward: float
    accuracy: float
    length: float
    mixed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Held-out rows of one stage: share of right replies by row, share readable, and tokens a reply."""

    rates: dict[str, float]
    readable: float
    tokens: float

    @property
    def accuracy(self) -> float:
        """The share of right replies."""
        return sum(self.rates.values()) / len(self.rates)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished training: every step, and by stage what was measured after each third and at the end.

    `curve` maps the number of steps to the measurement; the start, which has no steps, is measured at 0.
    """

    steps: list[Step] = field(default_factory=list)
    curve: dict[int, dict[str, Measured]] = field(default_factory=dict)
    final: dict[str, Measured] = field(default_factory=dict)
    rollouts: int = 0
