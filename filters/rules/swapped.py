"""Flag questions whose answer does not change with another image."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, Quorum, objection


class SwappedSection(ProbeRule):
    """Flags questions on which `solvers` choose the same option with another image, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.SWAPPED)

    name: Literal["swapped"] = "swapped"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the replies of the image arm and the swapped arm, compared by option order."""

        def unmoved(solver: str) -> bool | None:
            pairs = list(panel.pairs(answers, solver, (Arm.IMAGE, Arm.SWAPPED)))
            if any(one and other and one.answer != other.answer for one, other in pairs):
                return False
            return True if all(one and other for one, other in pairs) else None

        found = objection(panel, unmoved, self.solvers, Reason.SWAP_UNCHANGED, Reason.SWAP_UNKNOWN)
        return self.verdict(question, *found, answers)
