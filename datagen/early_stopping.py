"""When fewer than K rollouts will do.

Everything here is decided by counts alone: `rest` replies are still to come, and each may turn out right, wrong or
unreadable, so a row's final pass rate lies between k/(n + rest) and (k + rest)/(n + rest). If both ends are kept, or
both are dropped on the same side, the rest cannot change on which side of the bounds it falls, and leaving it out loses
nothing. Whether enough replies could be read is judged over those that were asked for.
"""

from collections.abc import Iterable, Iterator

from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer
from capcurriculum.stats import PassRate, pass_rate


def tally(rollouts: Iterable[Answer], below: int) -> PassRate:
    """The pass rate over the rollouts whose index is smaller than `below`."""
    return PassRate.of(answer.outcome for answer in rollouts if answer.rollout < below)


def keeps(rate: float, section: RolloutSection) -> bool:
    """Whether the recipe's bounds keep a row of this pass rate."""
    above = section.above is None or rate > section.above
    return above and (section.below is None or rate < section.below)


def fate(so_far: PassRate, section: RolloutSection) -> bool | None:
    """True if the bounds will keep the row whatever comes, False if they will drop it, None while that is open."""
    rest = section.k - so_far.asked
    if so_far.n + rest == 0:
        return False
    low, high = (pass_rate(count, so_far.n + rest) for count in (so_far.k, so_far.k + rest))
    if keeps(low, section) and keeps(high, section):
        return True if so_far.measured(section.readable) else None
    too_hard = section.above is not None and high <= section.above
    too_easy = section.below is not None and low >= section.below
    return False if too_hard or too_easy else None


def enough(so_far: PassRate, section: RolloutSection) -> bool:
    """Whether no more rollouts of the row are wanted."""
    if section.stop == "never" or so_far.asked >= section.k:
        return so_far.asked >= section.k
    sure = fate(so_far, section)
    if section.stop == "decided" or not sure:
        return sure is not None
    if section.interval is None:
        return False
    low, high = so_far.interval
    return high - low < section.interval


def rounds(section: RolloutSection) -> Iterator[range]:
    """The rollout indices of each round; without early stopping there is one."""
    step = section.k if section.stop == "never" else section.chunk
    for start in range(0, section.k, step):
        yield range(start, min(start + step, section.k))
