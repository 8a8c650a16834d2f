"""From several votes on a case to what it counts as: a pure function.

Sides are decided before kinds: two votes for different kinds of perception and one for reasoning make an error of
perception whose kind is open.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.errors.kinds import Side, side


@dataclass(frozen=True, slots=True)
class Decision:
    """The side of a case, `UNSURE` for no majority, None for unknown; and its kind, "" where that is open."""

    side: Side | None
    kind: str = ""


def decide(votes: Sequence[str], asked: int) -> Decision:
    """What more than half of the votes that could be read say; `votes` are kinds, "" for one that could not be.

    Unknown where no more than half of the `asked` votes could be read. Ties, and a majority that is unsure, are unsure.
    """
    told = [vote for vote in votes if vote]
    if 2 * len(told) <= asked:
        return Decision(None)
    sides = Counter(side(vote) for vote in told)
    winner = next((one for one, count in sides.items() if 2 * count > len(told)), Side.UNSURE)
    kinds = Counter(vote for vote in told if side(vote) is winner).most_common(2)
    clear = bool(kinds) and (len(kinds) == 1 or kinds[0][1] > kinds[1][1])
    return Decision(winner, kinds[0][0] if clear and winner is not Side.UNSURE else "")
