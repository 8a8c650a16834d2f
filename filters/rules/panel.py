"""Base class of filters that judge by the probe: solvers, option orders, and quorums.

A solver's state is True, False, or None (unknown) for an unparsed, failed or missing reply, which counts for neither
side.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, RecipeView, check_captioned
from capcurriculum.recipe.stages import ProbeSection, StageName
from capcurriculum.rows import Answer, Arm, Outcome, Question, Stage, Verdict
from datagen.setting import Setting
from filters.base import Judge, Rule

#: How many solvers must agree: all, more than half, or at least one.
Quorum = Literal["all", "majority", "any"]
KNOWN = frozenset({Outcome.RIGHT, Outcome.WRONG})


@dataclass(frozen=True, slots=True)
class Panel:
    """The solvers of a probe and the option rotations that it asks in."""

    solvers: tuple[str, ...]
    orders: tuple[int, ...] = (0,)

    @staticmethod
    def of(probe: ProbeSection) -> "Panel":
        """The panel of a recipe's probe."""
        return Panel(probe.solvers, (0, 1) if probe.other_order else (0,))

    def replies(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Answer | None]:
        """A solver's replies on an arm, None for each unknown or missing one."""
        found: list[Answer | None] = []
        for order in self.orders:
            given = [a for a in answers if a.solver == solver and a.arm == arm and a.order == order]
            found += [a if a.outcome in KNOWN else None for a in given] or [None]
        return found

    def outcomes(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Outcome | None]:
        """The outcomes of `replies`."""
        return [Outcome(a.outcome) if a else None for a in self.replies(answers, solver, arm)]

    def pairs(
        self, answers: Sequence[Answer], solver: str, arms: tuple[Arm, Arm]
    ) -> Iterator[tuple[Answer | None, ...]]:
        """A solver's replies on two arms, paired by order and rollout."""
        one, other = ({(a.order, a.rollout): a for a in self.replies(answers, solver, arm) if a} for arm in arms)
        missing = {(order, 0) for order in self.orders}
        for key in sorted(one.keys() | other.keys() | missing):
            yield one.get(key), other.get(key)


class ProbeRule(Rule):
    """A filter that judges by the probe's replies, for stages that are made from captions."""

    phase: ClassVar[Phase] = Phase.PROBE

    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)

    @abstractmethod
    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the replies of the panel's solvers."""

    def judging(self, at: Setting) -> Judge:
        """`judge` with the panel of the question's stage."""
        panels = {stage: Panel.of(made.probe) for stage, made in at.recipe.captioned.items()}
        return lambda question, answers: self.judge(question, answers, panels[question.stage])

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The section's keys, and the solvers and orders of the probes."""
        asked = {
            stage: {"solvers": list(probe.solvers), "other_order": probe.other_order}
            for stage, probe in self._probes(recipe)
        }
        params = super().params(recipe) | {"asked": asked.pop(Stage.PERCEPTION, {})}
        return params | ({"asked_of_others": asked} if asked else {})

    def check(self, recipe: RecipeView) -> None:
        """Raise ValueError if a stage has no probe, or its probe lacks an arm that the filter reads."""
        check_captioned(self, recipe, "reads the probe, which asks questions made from captions")
        for stage, probe in self._probes(recipe):
            if missing := [arm for arm in self.arms_read if arm not in probe.arms]:
                raise ValueError(f"the filter {self.name} needs {' and '.join(missing)} in {stage}.probe.arms")
            self.check_probe(stage, probe)

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if a stage's probe lacks something else that the filter needs."""

    def _probes(self, recipe: RecipeView) -> Iterator[tuple[str, ProbeSection]]:
        return ((stage, made.probe) for stage, made in recipe.captioned.items() if stage in self.stages)


def needed(quorum: Quorum, solvers: int) -> int:
    """The number of solvers that form a quorum of `solvers`."""
    return {"all": solvers, "majority": solvers // 2 + 1, "any": 1}[quorum]


def objection(
    panel: Panel, shown: Callable[[str], bool | None], quorum: Quorum, reason: Reason, unknown: Reason
) -> tuple[bool, Reason, str]:
    """Drop a question if a quorum of solvers objects.

    Args:
        panel: the solvers.
        shown: maps a solver to whether it objects, None if unknown.
        quorum: how many must object.
        reason: the reason of a drop.
        unknown: the reason for keeping a question that unknown replies might drop.

    Returns:
        Whether to keep it, the reason, and the deciding solvers joined by commas.
    """
    states: Mapping[str, bool | None] = {solver: shown(solver) for solver in panel.solvers}
    against = [solver for solver, state in states.items() if state]
    silent = [solver for solver, state in states.items() if state is None]
    wanted = needed(quorum, len(panel.solvers))
    if len(against) >= wanted:
        return False, reason, ", ".join(against)
    if len(against) + len(silent) >= wanted:
        return True, unknown, ", ".join(silent)
    return True, Reason.KEPT, ""
