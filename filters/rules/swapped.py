"""Object to what is answered alike whatever image is shown: the choice does not rest on seeing."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import SwappedSection
from capcurriculum.rows import Answer, Arm, Question, Verdict
from filters.rules.panel import Panel, objection
from filters.verdict import verdict

FILTER = "swapped"


def judge(question: Question, answers: Sequence[Answer], panel: Panel, section: SwappedSection) -> Verdict:
    """The verdict over the replies on the image arm and the swapped one, compared order by order."""

    def unmoved(solver: str) -> bool | None:
        pairs = list(panel.pairs(answers, solver, (Arm.IMAGE, Arm.SWAPPED)))
        if any(own and other and own.answer != other.answer for own, other in pairs):
            return False
        return True if all(own and other for own, other in pairs) else None

    found = objection(panel, unmoved, section.solvers, Reason.SWAP_UNCHANGED, Reason.SWAP_UNKNOWN)
    return verdict(question, FILTER, *found, answers)
