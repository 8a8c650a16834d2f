"""Keep what has a pass rate: enough rollouts whose answer could be read.

Where most replies were cut off or never came, a pass rate of zero would say that the row is hard, and it says only that
nothing was seen.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.stats import PassRate
from filters.verdict import verdict

FILTER = "rollouts"


def judge(question: Question, answers: Sequence[Answer], section: RolloutSection) -> Verdict:
    """The verdict over the rollouts of one question."""
    rate = PassRate.of(answer.outcome for answer in answers)
    if rate.measured(section.readable):
        return verdict(question, FILTER, True, Reason.KEPT, "", answers)
    return verdict(question, FILTER, False, Reason.UNMEASURED, f"{rate.n} of {rate.asked} readable", answers)
