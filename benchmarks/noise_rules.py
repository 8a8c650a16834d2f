"""Rules of the auditors whose wrong labels are counted, and the ones that were chosen, each on another world."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.noise_world import Setup

#: The share of lies at which the targets hold.
AT = 0.10
#: The share of the votes of auditors that answer which must agree: those measured, and the one chosen.
SHARES_AGREED, AGREE = (0.05, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75), 0.3
#: Of so many descriptions of an image: how many must bear the marked answer out, and how many more one other answer
#: may have (None: any number).
BORNE_OUT: dict[int, tuple[tuple[int, int | None], ...]] = {
    6: ((1, None), (1, 2), (1, 1), (1, 0), (2, None), (2, 1), (2, 0), (3, None), (4, None)),
    12: ((1, None), (1, 6), (1, 4), (1, 2), (2, None), (2, 4), (2, 2), (3, None), (3, 4), (3, 2), (4, None), (6, None)),
}


class Kind(StrEnum):
    """What a set asks, and so its line in the plot."""

    PROBE = "nobody but the solvers"
    ANSWER = "auditors that answer"
    DESCRIBE = "auditors that describe"
    TOGETHER = "both, and captions read again"
    JUDGED = "descriptions read without a mistake"
    SEEN = "perfect sight"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must speak for a row: each of the parts that are given.

    `describe` is one of `BORNE_OUT`, `answer` the share of answers, `captions` that auditors read the marked answer in
    the caption. Descriptions are `judged` by the world's judge, or read by a model; those `seen` perfectly are made
    from the scene.
    """

    describe: tuple[int, int | None] | None = None
    answer: float | None = None
    captions: bool = False
    judged: bool = False
    seen: bool = False

    @property
    def kind(self) -> Kind:
        """The line in the plot."""
        if self.seen or self.judged:
            return Kind.SEEN if self.seen else Kind.JUDGED
        parts = (self.describe is not None, self.answer is not None, self.captions)
        return Kind.TOGETHER if sum(parts) > 1 else Kind.DESCRIBE if parts[0] else Kind.ANSWER

    def __str__(self) -> str:
        parts = ["paper"]
        parts += ["captions"] if self.captions else []
        if self.describe is not None:
            agree, ahead = self.describe
            name = "descriptions" + " of perfect sight" * self.seen + " without misreading" * self.judged
            parts.append(f"{name}, {agree} agree" + ("" if ahead is None else f", {ahead} ahead"))
        parts += [f"auditors >= {self.answer}"] if self.answer is not None else []
        return " + ".join(parts)


def rules(setup: Setup) -> Iterator[Rule]:
    """Those that a set-up measures."""
    for judged in (False, True):
        yield from (Rule(rule, judged=judged) for rule in BORNE_OUT[setup.descriptions * len(setup.auditors)])
    yield from (Rule(answer=share) for share in SHARES_AGREED)
    if not setup.alone:
        yield from _together()
        yield from (Rule((1, None), judged=judged, seen=True) for judged in (False, True))


def _together() -> Iterator[Rule]:
    raise NotImplementedError


RECOMMENDED = Rule((1, 2))
