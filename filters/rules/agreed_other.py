"""Drop questions on which solvers agree, from the image, on an option that is not the marked one.

The perception rule keeps questions that solvers get wrong, which includes wrong labels. On a wrong label good solvers
name the same option; solvers that fail to see err in different ways. It costs no requests.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, needed


class AgreedOtherSection(ProbeRule):
    """Drops if `solvers` agree from the image on one option other than the marked one, in every option order asked.

    Its evidence are the probe's replies.
    """

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE,)

    name: Literal["agreed_other"] = "agreed_other"
    solvers: Literal["all", "majority"] = "all"

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if there is only one reply."""
        if len(probe.solvers) * (1 + probe.other_order) < 2:
            raise ValueError(f"the filter agreed_other needs two solvers, or {stage}.probe.other_order: true")

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the replies of the image arm; choices are compared as options, not letters."""
        chosen = {solver: _steady(panel.replies(answers, solver, Arm.IMAGE)) for solver in panel.solvers}
        named = [choice for choice in chosen.values() if choice]
        silent = sum(choice is None for choice in chosen.values())
        wanted = needed(self.solvers, len(panel.solvers))
        most = max(sorted(set(named)), key=named.count, default="")
        if most and named.count(most) >= wanted:
            return self.verdict(question, False, Reason.AGREED_OTHER, most, answers)
        unknown = silent > 0 and (named.count(most) if most else 0) + silent >= wanted
        return self.verdict(question, True, Reason.AGREEMENT_UNKNOWN if unknown else Reason.KEPT, "", answers)


def _steady(replies: Sequence[Answer | None]) -> str | None:
    """The option other than the marked one that all replies name; "" if there is none, None if unknown."""
    known = [reply for reply in replies if reply]
    if any(reply.outcome != Outcome.WRONG for reply in known) or len({reply.answer for reply in known}) > 1:
        return ""
    return None if len(known) < len(replies) else known[0].answer
