"""Object to a marked answer that an auditor does not find right.

Votes that could not be read (unparsed, failed, missing) count for neither side, and neither do those that cannot tell.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe_auditor import AuditorSection
from capcurriculum.rows import Answer, Question, Verdict
from datagen.auditing import Opinion, opinion
from filters.panel import needed
from filters.verdict import verdict

FILTER = "auditor"


def judge(question: Question, answers: Sequence[Answer], section: AuditorSection) -> Verdict:
    """The verdict over the votes of the section's auditor."""
    votes = [opinion(answer) for answer in answers]
    count = {said: votes.count(said) for said in Opinion}
    reason = _reason(count[Opinion.AGREE], count[Opinion.DISAGREE], count[Opinion.UNSURE], section)
    keep = reason is Reason.KEPT or (reason is not Reason.AUDIT_DISAGREES and section.unsure == "keep")
    detail = ", ".join(f"{said} {count[said]}" for said in Opinion if count[said])
    return verdict(question, FILTER, keep, reason, f"{detail or 'none'} of {section.votes}", answers)


def _reason(agree: int, disagree: int, unsure: int, section: AuditorSection) -> Reason:
    known = agree + disagree + unsure
    if 2 * known <= section.votes:
        return Reason.AUDIT_UNKNOWN
    wanted = needed(section.disagree, known)
    if disagree >= wanted:
        return Reason.AUDIT_DISAGREES
    # Half of the votes are no majority for either side.
    open_from = (known + 1) // 2 if section.disagree == "majority" else wanted
    return Reason.AUDIT_UNSURE if disagree + unsure >= open_from else Reason.KEPT
