"""Drop questions on which solvers agree, from the image, on an option that is not the marked one.

The perception rule keeps questions that solvers get wrong, which includes wrong labels. On a wrong label good solvers
name the same option; solvers that fail to see err in different ways. It costs no requests.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import ProbeKey
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
        choices, silent, most = self._choices(answers, panel)
        wanted = needed(self.solvers, len(panel.solvers))
        if most and choices.count(most) >= wanted:
            return self.verdict(question, False, Reason.AGREED_OTHER, most, answers)
        unknown = silent and choices.count(most) + len(silent) >= wanted
        return self.verdict(question, True, Reason.AGREEMENT_UNKNOWN if unknown else Reason.KEPT, "", answers)

    def open_replies(self, answers: Sequence[Answer], panel: Panel) -> list[ProbeKey]:
        """Those of the solvers that can still make enough agree."""
        choices, silent, most = self._choices(answers, panel)
        wanted = needed(self.solvers, len(panel.solvers))
        undecided = choices.count(most) < wanted <= choices.count(most) + len(silent)
        return panel.unasked(answers, silent, self.arms_read) if undecided else []

    def _choices(self, answers: Sequence[Answer], panel: Panel) -> tuple[list[str], list[str], str]:
        """The options that solvers name, the solvers not known to name one yet, the option named most ("": none)."""
        chosen = {solver: _steady(panel.replies(answers, solver, Arm.IMAGE)) for solver in panel.solvers}
        named = [choice for choice in chosen.values() if choice]
        silent = [solver for solver, choice in chosen.items() if choice is None]
        return named, silent, max(sorted(set(named)), key=named.count, default="")


def _steady(replies: Sequence[Answer | None]) -> str | None:
    """The option other than the marked one that all replies name; "" if there is none, None if unknown."""
    known = [reply for reply in replies if reply]
    if any(reply.outcome != Outcome.WRONG for reply in known) or len({reply.answer for reply in known}) > 1:
        return ""
    return None if len(known) < len(replies) else known[0].answer
