"""Object to a marked answer that auditors do not find right.

Votes that could not be read (unparsed, failed, missing) count for neither side, and neither do those that cannot tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.auditor import AuditorSection
from capcurriculum.rows import Answer, Question, Verdict
from datagen.auditor import Opinion, votes_in
from filters.verdict import verdict

FILTER = "auditor"


def judge(question: Question, answers: Sequence[Answer], section: AuditorSection) -> Verdict:
    """The verdict over the votes of the section's auditors."""
    votes = votes_in(answers)
    count = Counter(vote.opinion for vote in votes)
    others = Counter(vote.option for vote in votes if vote.option and vote.opinion is Opinion.DISAGREE)
    reason = _reason(count, max(others.values(), default=0), section)
    keep = reason is Reason.KEPT or (reason is not Reason.AUDIT_DISAGREES and section.unsure == "keep")
    detail = ", ".join(f"{said} {count[said]}" for said in Opinion if count[said]) or "none"
    return verdict(question, FILTER, keep, reason, f"{detail} of {_asked(section)}", answers)


def _reason(count: Mapping[Opinion, int], other: int, section: AuditorSection) -> Reason:
    """`other` is how many votes the option has that most of those that disagree are for."""
    agree, unsure = count[Opinion.AGREE], count[Opinion.UNSURE]
    known = agree + unsure + count[Opinion.DISAGREE]
    if 2 * known <= _asked(section):
        return Reason.AUDIT_UNKNOWN
    if other - agree > section.ahead_at_most * known:
        return Reason.AUDIT_DISAGREES
    wanted = section.agree_at_least * known
    if agree >= wanted:
        return Reason.KEPT
    return Reason.AUDIT_UNSURE if agree + unsure >= wanted else Reason.AUDIT_DISAGREES


def _asked(section: AuditorSection) -> int:
    return section.votes * len(section.models)
