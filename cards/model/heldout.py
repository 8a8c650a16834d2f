"""Which held-out numbers of a run belong to a checkpoint's chain and can be compared with each other.

A run may hold those of several trainings, and of several choices of rows. A number counts for a chain when it names the
weights that the chain's plan names; numbers are shown together only when they are of the very same questions.
"""

from collections import defaultdict
from collections.abc import Sequence

from capcurriculum.stats import Gain, gain
from cards.model.training import Training
from evaluation.results.results import HeldOut

START = "start"
#: The questions, how many there are, and the replies to them.
_Asked = tuple[tuple[str, ...], int, int]


def chosen(found: Sequence[HeldOut], chain: Training, alone: bool) -> list[HeldOut]:
    """Those of the chain's models, in the order of training, for each stage over one set of questions.

    Of several such sets the one that most models were asked is taken, of these the largest. `alone` says that the run
    has no other chain, so that numbers without the name of their weights are this one's.
    """
    digests = {START: chain.stages[0].parent_digest} if chain.stages else {}
    digests |= {f"after {one.stage}": one.checkpoint_digest for one in chain.stages}
    groups: defaultdict[str, dict[_Asked, dict[str, HeldOut]]] = defaultdict(dict)
    for one in found:
        if one.model in digests and (one.weights == digests[one.model] if one.weights else alone):
            groups[one.stage].setdefault((tuple(sorted(one.rates)), one.rows, one.replies), {})[one.model] = one
    best = {stage: max(own.items(), key=_worth)[1] for stage, own in groups.items()}
    return [best[stage][model] for model in digests for stage in best if model in best[stage]]


def _worth(group: tuple[_Asked, dict[str, HeldOut]]) -> tuple[int, int, int, tuple[str, ...]]:
    (questions, rows, replies), models = group
    return len(models), rows, replies, questions


def gains(found: Sequence[HeldOut]) -> dict[tuple[str, str], Gain]:
    """(model, stage) -> what it gains over the model before training, row by row, where both have the rows' shares."""
    before = {one.stage: one.rates for one in found if one.model == START}
    return {
        (one.model, one.stage): gain(before[one.stage], one.rates)
        for one in found
        if one.model != START and one.rates and before.get(one.stage, {}).keys() == one.rates.keys()
    }
