"""Object to what can be answered without seeing and reading: right from the question alone.

With four options a guess is right one time in four; asking in two orders and more than one solver makes that rare.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import BlindSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, objection
from filters.verdict import verdict

FILTER = "blind"


def judge(question: Question, answers: Sequence[Answer], panel: Panel, section: BlindSection) -> Verdict:
    """The verdict over the replies on the blind arm."""

    def right(solver: str) -> bool | None:
        outcomes = panel.outcomes(answers, solver, Arm.BLIND)
        if Outcome.WRONG in outcomes:
            return False
        return None if None in outcomes else True

    found = objection(panel, right, section.solvers, Reason.BLIND_RIGHT, Reason.BLIND_UNKNOWN)
    return verdict(question, FILTER, *found, answers)
