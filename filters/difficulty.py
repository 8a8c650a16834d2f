"""Keep the pass rates between the recipe's bounds; both bounds are exclusive.

The counts may be those of fewer than K rollouts where the recipe stops early: it stops only when the missing ones could
not change this verdict.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from datagen.stopping import Tally, keeps

FILTER = "difficulty"


def judge(question: Question, answers: Sequence[Answer], section: RolloutSection) -> Verdict:
    """The verdict on a question that was measured.

    Raises:
        ValueError: none of its rollouts was answered; the filter `rollouts` drops such questions first.
    """
    tally = Tally.of(answers, section.k)
    if not tally.answered:
        raise ValueError(f"Question {question.question_id} has no answered rollout.")
    rate = tally.right / tally.answered
    reason = Reason.KEPT
    if not keeps(rate, section):
        reason = Reason.TOO_HARD if section.above is not None and rate <= section.above else Reason.TOO_EASY
    evidence = tuple(sorted(a.request_key for a in answers))
    detail = f"{tally.right} of {tally.answered}"
    return Verdict(question.question_id, question.stage, FILTER, reason is Reason.KEPT, reason, detail, evidence)
