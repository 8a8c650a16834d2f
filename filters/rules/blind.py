"""Object to what can be answered without seeing and reading: right from the question alone.

With four options a guess is right one time in four; asking in two orders and more than one solver makes that rare.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, Quorum, objection


class BlindSection(ProbeRule):
    """Objects where `solvers` are right without image and caption, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.BLIND,)

    name: Literal["blind"] = "blind"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict over the replies on the blind arm."""

        def right(solver: str) -> bool | None:
            outcomes = panel.outcomes(answers, solver, Arm.BLIND)
            if Outcome.WRONG in outcomes:
                return False
            return None if None in outcomes else True

        found = objection(panel, right, self.solvers, Reason.BLIND_RIGHT, Reason.BLIND_UNKNOWN)
        return self.verdict(question, *found, answers)
