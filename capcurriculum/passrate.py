"""Pass rate: how often the model that will be trained answers rightly, of the replies that could be read.

Unknown is not wrong. A reply that was cut off, holds no readable answer, or never came says nothing of how hard a row
is, so n counts right and wrong replies alone; how many were unreadable or failed stands beside. Everything that needs a
pass rate takes it from here: filters, early stopping, orders, stage files, the report, samples for people.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from capcurriculum.intervals import wilson
from capcurriculum.rows import Outcome


@dataclass(frozen=True, slots=True)
class PassRate:
    """`k` right of `n` readable replies; `unreadable` came and could not be read, `failed` never came or broke."""

    k: int = 0
    n: int = 0
    unreadable: int = 0
    failed: int = 0

    @staticmethod
    def of(outcomes: Iterable[str]) -> "PassRate":
        """The pass rate over one row's replies."""
        counts = Counter(outcomes)
        right, wrong = counts[Outcome.RIGHT], counts[Outcome.WRONG]
        return PassRate(right, right + wrong, counts[Outcome.UNPARSED], counts[Outcome.FAILED])

    @property
    def asked(self) -> int:
        """All replies."""
        return self.n + self.unreadable + self.failed

    @property
    def rate(self) -> float:
        """k / n; there is none without a readable reply."""
        return self.k / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the rate."""
        return wilson(self.k, self.n)

    def measured(self, readable: float) -> bool:
        """Whether at least one reply, and at least this share of all, could be read."""
        return self.n > 0 and self.n >= readable * self.asked

    def __str__(self) -> str:
        unknown = {"unreadable": self.unreadable, "failed": self.failed}
        return ", ".join([f"{self.k} of {self.n}", *(f"{count} {word}" for word, count in unknown.items() if count)])


def counts(kind: type[pl.DataType] | pl.DataType = pl.Int64) -> dict[str, pl.Expr]:
    """The same over a group of a table of answers: expressions `k`, `n`, `unreadable` and `failed`."""
    number = {outcome: (pl.col("outcome") == outcome.value).sum() for outcome in Outcome}
    found = {
        "k": number[Outcome.RIGHT],
        "n": number[Outcome.RIGHT] + number[Outcome.WRONG],
        "unreadable": number[Outcome.UNPARSED],
        "failed": number[Outcome.FAILED],
    }
    return {name: expression.cast(kind) for name, expression in found.items()}
