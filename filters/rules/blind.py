"""Flag questions that solvers answer without image or caption.

A guess among four options is right once in four times; several solvers and option orders make that rare.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, Quorum, objection


class BlindSection(ProbeRule):
    """Flags questions that `solvers` answer right without image or caption, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.BLIND,)

    name: Literal["blind"] = "blind"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the replies of the blind arm."""

        def right(solver: str) -> bool | None:
            outcomes = panel.outcomes(answers, solver, Arm.BLIND)
            if Outcome.WRONG in outcomes:
                return False
            return None if None in outcomes else True

        found = objection(panel, right, self.solvers, Reason.BLIND_RIGHT, Reason.BLIND_UNKNOWN)
        return self.verdict(question, *found, answers)
