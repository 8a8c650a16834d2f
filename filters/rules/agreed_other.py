"""Object to a label that all solvers contradict alike: from the image they choose one option, and not the marked one.

The perception rule keeps what solvers get wrong, and a solver that sees well gets every wrong label wrong. Such solvers
name the same option, whatever letter it has; solvers that cannot see err in different ways. No reply is asked for.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import AgreedOtherSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, needed
from filters.verdict import verdict

FILTER = "agreed_other"


def judge(question: Question, answers: Sequence[Answer], panel: Panel, section: AgreedOtherSection) -> Verdict:
    """The verdict over the replies on the image arm; choices are compared as the options they name."""
    chosen = {solver: _steady(panel.replies(answers, solver, Arm.IMAGE)) for solver in panel.solvers}
    named = [choice for choice in chosen.values() if choice]
    silent = sum(choice is None for choice in chosen.values())
    wanted = needed(section.solvers, len(panel.solvers))
    most = max(sorted(set(named)), key=named.count, default="")
    if most and named.count(most) >= wanted:
        return verdict(question, FILTER, False, Reason.AGREED_OTHER, most, answers)
    unknown = silent > 0 and (named.count(most) if most else 0) + silent >= wanted
    return verdict(question, FILTER, True, Reason.AGREEMENT_UNKNOWN if unknown else Reason.KEPT, "", answers)


def _steady(replies: Sequence[Answer | None]) -> str | None:
    """The option that is not the marked one and that all replies name; "" if there is none, None if it is unknown."""
    known = [reply for reply in replies if reply]
    if any(reply.outcome != Outcome.WRONG for reply in known) or len({reply.answer for reply in known}) > 1:
        return ""
    return None if len(known) < len(replies) else known[0].answer
