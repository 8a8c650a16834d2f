"""Flag questions that solvers answer without image or caption.

A guess among four options is right once in four times; several solvers and option orders make that rare.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Outcome
from filters.rules.panel import Panel, Quorum, QuorumRule


class BlindSection(QuorumRule):
    """Flags questions that `solvers` answer right without image or caption, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.BLIND,)
    objects: ClassVar[Reason] = Reason.BLIND_RIGHT
    unknown: ClassVar[Reason] = Reason.BLIND_UNKNOWN

    name: Literal["blind"] = "blind"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def shows(self, answers: Sequence[Answer], panel: Panel, solver: str) -> bool | None:
        """Whether the solver is right on the blind arm every time."""
        outcomes = panel.outcomes(answers, solver, Arm.BLIND)
        if Outcome.WRONG in outcomes:
            return False
        return None if None in outcomes else True
