"""Drop questions on which solvers choose another option when the options are rotated."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import ProbeKey
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm
from filters.rules.panel import Panel, Quorum, QuorumRule


class ConsistentSection(QuorumRule):
    """Drops if `solvers` choose another option, on one of `arms`, when the options are rotated."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.CAPTION)
    objects: ClassVar[Reason] = Reason.INCONSISTENT
    unknown: ClassVar[Reason] = Reason.CONSISTENCY_UNKNOWN

    name: Literal["consistent"] = "consistent"
    arms: Annotated[tuple[Literal["image", "caption"], ...], Field(min_length=1)] = ("image", "caption")
    solvers: Quorum = "any"

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if the probe asks in one order only."""
        if not probe.other_order:
            raise ValueError(f"the filter consistent needs {stage}.probe.other_order: true")

    def shows(self, answers: Sequence[Answer], panel: Panel, solver: str) -> bool | None:
        """Whether the solver's choice on one of the section's arms changes; compared as the option that it names."""
        replies = [panel.replies(answers, solver, Arm(arm)) for arm in self.arms]
        if any(len({a.answer for a in found if a}) > 1 for found in replies):
            return True
        return None if any(None in found for found in replies) else False

    def open_replies(self, answers: Sequence[Answer], panel: Panel) -> list[ProbeKey]:
        """Only those on the section's arms."""
        return [key for key in super().open_replies(answers, panel) if key[1] in self.arms]
