"""Keep what has a pass rate: at least one rollout that the model answered at all."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Outcome, Question, Verdict
from filters.verdict import verdict

FILTER = "rollouts"


def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
    """The verdict over the rollouts of one question; failed ones are no evidence."""
    if any(a.outcome != Outcome.FAILED for a in answers):
        return verdict(question, FILTER, True, Reason.KEPT, "", answers)
    return verdict(question, FILTER, False, Reason.NOT_MEASURED, f"{len(answers)} rollouts, none answered", answers)
