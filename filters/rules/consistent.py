"""Object to a choice that follows the letter: the options are rotated, and another one is chosen."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import ConsistentSection
from capcurriculum.rows import Answer, Arm, Question, Verdict
from filters.rules.panel import Panel, objection
from filters.verdict import verdict

FILTER = "consistent"


def judge(question: Question, answers: Sequence[Answer], panel: Panel, section: ConsistentSection) -> Verdict:
    """The verdict over the replies on the section's arms; a choice is compared as the option it names."""

    def changes(solver: str) -> bool | None:
        replies = [panel.replies(answers, solver, Arm(arm)) for arm in section.arms]
        if any(len({a.answer for a in found if a}) > 1 for found in replies):
            return True
        return None if any(None in found for found in replies) else False

    found = objection(panel, changes, section.solvers, Reason.INCONSISTENT, Reason.CONSISTENCY_UNKNOWN)
    return verdict(question, FILTER, *found, answers)
