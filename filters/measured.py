"""Keep what has a pass rate: at least one rollout that the model answered at all."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Outcome, Question, Verdict

FILTER = "rollouts"


def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
    """The verdict over the rollouts of one question; failed ones are no evidence."""
    evidence = tuple(sorted(a.request_key for a in answers))
    keep = any(a.outcome != Outcome.FAILED for a in answers)
    reason = Reason.KEPT if keep else Reason.NOT_MEASURED
    detail = "" if keep else f"{len(answers)} rollouts, none answered"
    return Verdict(question.question_id, question.stage, FILTER, keep, reason, detail, evidence)
