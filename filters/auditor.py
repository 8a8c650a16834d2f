"""Object to a marked answer that auditors do not find right.

Votes that could not be read (unparsed, failed, missing) count for neither side, and neither do those that cannot tell.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe_auditor import AuditorSection
from capcurriculum.rows import Answer, Question, Verdict
from datagen.auditing import Opinion, opinions
from filters.verdict import verdict

FILTER = "auditor"


def judge(question: Question, answers: Sequence[Answer], section: AuditorSection) -> Verdict:
    """The verdict over the votes of the section's auditors."""
    votes = opinions(answers)
    count = {said: votes.count(said) for said in Opinion}
    reason = _reason(count[Opinion.AGREE], count[Opinion.DISAGREE], count[Opinion.UNSURE], section)
    keep = reason is Reason.KEPT or (reason is not Reason.AUDIT_DISAGREES and section.unsure == "keep")
    detail = ", ".join(f"{said} {count[said]}" for said in Opinion if count[said]) or "none"
    return verdict(question, FILTER, keep, reason, f"{detail} of {_asked(section)}", answers)


def _reason(agree: int, disagree: int, unsure: int, section: AuditorSection) -> Reason:
    known = agree + disagree + unsure
    if 2 * known <= _asked(section):
        return Reason.AUDIT_UNKNOWN
    wanted = section.agree_at_least * known
    if agree >= wanted:
        return Reason.KEPT
    return Reason.AUDIT_UNSURE if agree + unsure >= wanted else Reason.AUDIT_DISAGREES


def _asked(section: AuditorSection) -> int:
    return section.votes * len(section.models)
