"""When fewer than K rollouts will do.

Everything here is decided by counts alone: `rest` replies are still to come, and each may turn out right, wrong or
failed, so a row's final pass rate lies between right/(answered + rest) and (right + rest)/(answered + rest). If both
ends are kept, or both are dropped on the same side, the rest cannot change the selection, and leaving it out loses
nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capcurriculum.intervals import wilson
from capcurriculum.recipe import RolloutSection
from capcurriculum.rows import Answer, Outcome


@dataclass(frozen=True, slots=True)
class Tally:
    """Rollouts of one question so far: right ones, answered ones, and all that were asked."""

    right: int = 0
    answered: int = 0
    asked: int = 0

    @staticmethod
    def of(rollouts: Iterable[Answer], below: int) -> "Tally":
        """The count over the rollouts whose index is smaller than `below`."""
        return Tally.count(a.outcome for a in rollouts if a.rollout < below)

    @staticmethod
    def count(outcomes: Iterable[str]) -> "Tally":
        """The count over the outcomes of what was asked."""
        outcomes = list(outcomes)
        answered = [outcome for outcome in outcomes if outcome != Outcome.FAILED]
        return Tally(answered.count(Outcome.RIGHT), len(answered), len(outcomes))


def keeps(rate: float, section: RolloutSection) -> bool:
    """Whether the recipe's bounds keep a row of this pass rate."""
    above = section.above is None or rate > section.above
    return above and (section.below is None or rate < section.below)


def fate(tally: Tally, section: RolloutSection) -> bool | None:
    """True if the row will be kept whatever comes, False if it will be dropped, None while that is open."""
    rest = section.k - tally.asked
    if tally.answered + rest == 0:
        return False
    low, high = (count / (tally.answered + rest) for count in (tally.right, tally.right + rest))
    if tally.answered and keeps(low, section) and keeps(high, section):
        return True
    too_hard = section.above is not None and high <= section.above
    too_easy = section.below is not None and low >= section.below
    return False if too_hard or too_easy else None


def enough(tally: Tally, section: RolloutSection) -> bool:
    """Whether no more rollouts of the row are wanted."""
    if section.stop == "never" or tally.asked >= section.k:
        return tally.asked >= section.k
    sure = fate(tally, section)
    if section.stop == "decided" or not sure:
        return sure is not None
    if section.interval is None or not tally.answered:
        return False
    low, high = wilson(tally.right, tally.answered)
    return high - low < section.interval


def rounds(section: RolloutSection) -> Iterator[range]:
    """The rollout indices of each round; without early stopping there is one."""
    step = section.k if section.stop == "never" else section.chunk
    for start in range(0, section.k, step):
        yield range(start, min(start + step, section.k))
