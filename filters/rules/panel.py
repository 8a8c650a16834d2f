"""Base class of filters that judge by the probe: solvers, option orders, and quorums.

A solver's state is True, False, or None (unknown) for an unparsed, failed or missing reply, which counts for neither
side.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, ProbeKey, RecipeView, check_captioned
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
        """A solver's replies on an arm, None for each unknown or missing one; the last of several counts."""
        found: list[Answer | None] = []
        for order in self.orders:
            given = [a for a in answers if a.solver == solver and a.arm == arm and a.order == order]
            last = max((a.rollout for a in given), default=0)
            known = [a if a.outcome in KNOWN else None for a in given if a.outcome in KNOWN or a.rollout == last]
            found += known or [None]
        return found

    def outcomes(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Outcome | None]:
        """The outcomes of `replies`."""
        return [Outcome(a.outcome) if a else None for a in self.replies(answers, solver, arm)]

    def unasked(self, answers: Sequence[Answer], solvers: Iterable[str], arms: Iterable[Arm]) -> list[ProbeKey]:
        """The replies of these solvers on these arms that were never asked for; an unknown one was."""
        asked = {(a.solver, a.arm, a.order) for a in answers}
        keys = ((solver, str(arm), order) for arm in arms for order in self.orders for solver in solvers)
        return [key for key in keys if key not in asked]

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

    def open_replies(self, answers: Sequence[Answer], panel: Panel) -> list[ProbeKey]:
        """The replies not asked for yet that could change whether `judge` keeps the question.

        Unless a rule knows better, all that it reads.
        """
        return panel.unasked(answers, panel.solvers, self.arms_read)

    def outlook(self, recipe: RecipeView, question: Question, answers: Sequence[Answer]) -> tuple[bool, list[ProbeKey]]:
        """See `FilterSection.outlook`; a reply that is not there is unknown, which is one of the things it can be."""
        panel = Panel.of(recipe.captioned[question.stage].probe)
        return self.judge(question, answers, panel).keep, self.open_replies(answers, panel)

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
                raise ValueError(
                    f"the filter {self.name} needs {' and '.join(missing)} in {stage}.probe.arms; add it there, or "
                    "leave the filter out"
                )
            self.check_probe(stage, probe)

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if a stage's probe lacks something else that the filter needs."""

    def _probes(self, recipe: RecipeView) -> Iterator[tuple[str, ProbeSection]]:
        return ((stage, made.probe) for stage, made in recipe.captioned.items() if stage in self.stages)


def needed(quorum: Quorum, solvers: int) -> int:
    """The number of solvers that form a quorum of `solvers`."""
    return {"all": solvers, "majority": solvers // 2 + 1, "any": 1}[quorum]


def still_open(states: Mapping[str, bool | None], wanted: int) -> list[str]:
    """The solvers whose unknown state can still change whether `wanted` of the states are true."""
    true, unknown = [s for s, state in states.items() if state], [s for s, state in states.items() if state is None]
    return unknown if len(true) < wanted <= len(true) + len(unknown) else []


class QuorumRule(ProbeRule):
    """A filter that drops or labels a question in which enough solvers show the same fault.

    `objects` is the reason of a question that is dropped, on evidence alone; `unknown` that of one that is kept because
    evidence is missing.
    """

    objects: ClassVar[Reason]
    unknown: ClassVar[Reason]

    solvers: Quorum = "all"

    @abstractmethod
    def shows(self, answers: Sequence[Answer], panel: Panel, solver: str) -> bool | None:
        """Whether a solver shows the fault; None where its replies do not tell yet."""

    def states(self, answers: Sequence[Answer], panel: Panel) -> dict[str, bool | None]:
        """Solver -> what `shows` returns."""
        return {solver: self.shows(answers, panel, solver) for solver in panel.solvers}

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict by the quorum; its detail names the solvers that decide, joined by commas."""
        states = self.states(answers, panel)
        against = [solver for solver, state in states.items() if state]
        wanted = needed(self.solvers, len(states))
        if len(against) >= wanted:
            return self.verdict(question, False, self.objects, ", ".join(against), answers)
        unknown = still_open(states, wanted)
        return self.verdict(question, True, self.unknown if unknown else Reason.KEPT, ", ".join(unknown), answers)

    def open_replies(self, answers: Sequence[Answer], panel: Panel) -> list[ProbeKey]:
        """Those of the solvers that can still make, or prevent, the quorum."""
        open_solvers = still_open(self.states(answers, panel), needed(self.solvers, len(panel.solvers)))
        return panel.unasked(answers, open_solvers, self.arms_read)
