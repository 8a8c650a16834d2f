"""Rules of the auditors whose wrong labels are counted, and the ones that were chosen, each on another world."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    12: ((1, None), (1, 6), (1, 4), (2, None), (3, None), (4, None)),
}


class Kind(StrEnum):
    """What a set asks, and so its line in the plot."""

    PROBE = "nobody but the solvers"
    ANSWER = "auditors that answer"
    DESCRIBE = "auditors that describe"
    TOGETHER = "both, and captions read again (all three)"
    JUDGED = "descriptions read without a mistake"
    SEEN = "all three, without misreading or with perfect sight"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must speak for a row: each of the parts that are given.

    `describe` is one of `BORNE_OUT`, over the first `each` descriptions of each auditor (None: all) read in so many
    `orders` of the options, of which at most `passed` may tell of no option (None: any number). `answer` is the share
    of answers, and with `captions` auditors must find the marked answer in the caption. At most `zeros` counts of what
    a question names may be zero. Descriptions are read by a model or `judged` by the world's judge; those `seen`
    perfectly are made from the scene, one for each image.
    """

    describe: tuple[int, int | None] | None = None
    answer: float | None = None
    captions: bool = False
    judged: bool = False
    seen: bool = False
    passed: int | None = None
    zeros: int | None = None
    each: int | None = None
    orders: int = 1

    @property
    def kind(self) -> Kind:
        """The line in the plot."""
        single = sum((self.describe is not None, self.answer is not None, self.captions, self.zeros is not None)) == 1
        if self.seen or self.judged:
            return Kind.JUDGED if single else Kind.SEEN
        if not single or self.captions:
            return Kind.TOGETHER
        return Kind.DESCRIBE if self.describe is not None else Kind.ANSWER

    def __str__(self) -> str:
        parts = ["paper", *(["captions"] if self.captions else [])]
        if self.describe is not None:
            agree, ahead = self.describe
            name = "descriptions" + f" ({self.each} each)" * bool(self.each) + " of perfect sight" * self.seen
            name += " in two orders" * (self.orders > 1) + " without misreading" * self.judged
            bounds = [f"{agree} agree", *([] if ahead is None else [f"{ahead} ahead"])]
            parts.append(", ".join([name, *bounds, *([] if self.passed is None else [f"{self.passed} tell nothing"])]))
        parts += [f"auditors >= {self.answer}"] if self.answer is not None else []
        parts += [] if self.zeros is None else ["counting"]
        return " + ".join(parts)


#: The rule that the targets are about, chosen on another world.
RECOMMENDED = Rule((1, 6), 0.05, captions=True, passed=10)
_SEEN = Rule((1, None), captions=True, seen=True)
_HALF = replace(RECOMMENDED, describe=(1, 3), passed=5, each=3)
#: What its parts are worth: without each, from fewer descriptions, read otherwise, and with perfect sight.
VARIANTS = (
    RECOMMENDED,
    replace(RECOMMENDED, answer=None),
    replace(RECOMMENDED, passed=None),
    replace(RECOMMENDED, captions=False),
    replace(RECOMMENDED, passed=None, zeros=2),
    _HALF,
    replace(_HALF, orders=2),
    replace(RECOMMENDED, judged=True),
    _SEEN,
    replace(_SEEN, judged=True),
)


def rules(setup: Setup) -> Iterator[Rule]:
    """Those that a set-up measures."""
    borne_out = BORNE_OUT[setup.descriptions * len(setup.auditors)]
    yield from (Rule(rule, judged=judged) for judged in (False, True) for rule in borne_out)
    yield from (Rule(answer=share) for share in SHARES_AGREED)
    if setup.alone:
        return
    yield from (Rule(captions=True), Rule(answer=0.3, zeros=2), replace(Rule((1, 6)), passed=10))
    shares = (None, *SHARES_AGREED[:3])
    pairs = (Rule(rule, share, captions=True, passed=10) for rule in borne_out for share in shares)
    yield from (rule for rule in pairs if rule not in VARIANTS)
    yield from VARIANTS
