"""Object to what is answered alike whatever image is shown: the choice does not rest on seeing."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, Quorum, objection


class SwappedSection(ProbeRule):
    """Objects where `solvers` choose with another image what they chose with the right one, in every order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.SWAPPED)

    name: Literal["swapped"] = "swapped"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict over the replies on the image arm and the swapped one, compared order by order."""

        def unmoved(solver: str) -> bool | None:
            pairs = list(panel.pairs(answers, solver, (Arm.IMAGE, Arm.SWAPPED)))
            if any(own and other and own.answer != other.answer for own, other in pairs):
                return False
            return True if all(own and other for own, other in pairs) else None

        found = objection(panel, unmoved, self.solvers, Reason.SWAP_UNCHANGED, Reason.SWAP_UNKNOWN)
        return self.verdict(question, *found, answers)
