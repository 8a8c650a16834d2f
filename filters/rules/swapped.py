"""Flag questions whose answer does not change with another image."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm
from filters.rules.panel import Panel, Quorum, QuorumRule


class SwappedSection(QuorumRule):
    """Flags questions on which `solvers` choose the same option with another image, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.SWAPPED)
    objects: ClassVar[Reason] = Reason.SWAP_UNCHANGED
    unknown: ClassVar[Reason] = Reason.SWAP_UNKNOWN

    name: Literal["swapped"] = "swapped"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"

    def shows(self, answers: Sequence[Answer], panel: Panel, solver: str) -> bool | None:
        """Whether the solver's choices on the image arm and the swapped one are the same, compared order by order."""
        pairs = list(panel.pairs(answers, solver, (Arm.IMAGE, Arm.SWAPPED)))
        if any(own and other and own.answer != other.answer for own, other in pairs):
            return False
        return True if all(own and other for own, other in pairs) else None
