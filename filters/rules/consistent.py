"""Drop questions on which solvers choose another option when the options are rotated."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, Quorum, objection


class ConsistentSection(ProbeRule):
    """Drops if `solvers` choose another option, on one of `arms`, when the options are rotated."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.CAPTION)

    name: Literal["consistent"] = "consistent"
    arms: Annotated[tuple[Literal["image", "caption"], ...], Field(min_length=1)] = ("image", "caption")
    solvers: Quorum = "any"

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if the probe asks in one order only."""
        if not probe.other_order:
            raise ValueError(f"the filter consistent needs {stage}.probe.other_order: true")

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the replies of the section's arms; choices are compared as options, not letters."""

        def changes(solver: str) -> bool | None:
            replies = [panel.replies(answers, solver, Arm(arm)) for arm in self.arms]
            if any(len({a.answer for a in found if a}) > 1 for found in replies):
                return True
            return None if any(None in found for found in replies) else False

        found = objection(panel, changes, self.solvers, Reason.INCONSISTENT, Reason.CONSISTENCY_UNKNOWN)
        return self.verdict(question, *found, answers)
