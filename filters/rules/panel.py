"""Filters that judge by the probe: who was asked, in which orders of the options, and how many of them must agree.

What a solver shows is True, False, or None: a reply that is unparsed, failed or missing is unknown, and unknown never
counts for either side.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, ProbeKey, RecipeView, check_captioned
from capcurriculum.recipe.stages import ProbeSection, StageName
from capcurriculum.rows import Answer, Arm, Outcome, Question, Stage, Verdict
from filters.base import Judge, Rule, Setting

#: How many must agree: every one, more than half, or at least one.
Quorum = Literal["all", "majority", "any"]
KNOWN = frozenset({Outcome.RIGHT, Outcome.WRONG})


@dataclass(frozen=True, slots=True)
class Panel:
    """The solvers of a probe and the rotations of the options each question was asked with."""

    solvers: tuple[str, ...]
    orders: tuple[int, ...] = (0,)

    @staticmethod
    def of(probe: ProbeSection) -> "Panel":
        """The panel that a recipe's probe asks."""
        return Panel(probe.solvers, (0, 1) if probe.other_order else (0,))

    def replies(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Answer | None]:
        """A solver's known replies on an arm, and None for each that is unknown or was never given.

        One that could not be read does not count where it was asked for again.
        """
        found: list[Answer | None] = []
        for order in self.orders:
            own = [a for a in answers if a.solver == solver and a.arm == arm and a.order == order]
            last = max((a.rollout for a in own), default=0)
            found += [a if a.outcome in KNOWN else None for a in own if a.outcome in KNOWN or a.rollout == last] or [
                None
            ]
        return found

    def outcomes(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Outcome | None]:
        """The same replies as right, wrong, or None where that is unknown."""
        return [Outcome(a.outcome) if a else None for a in self.replies(answers, solver, arm)]

    def unasked(self, answers: Sequence[Answer], solvers: Iterable[str], arms: Iterable[Arm]) -> list[ProbeKey]:
        """The replies of these solvers on these arms that were never asked for; an unknown one was."""
        asked = {(a.solver, a.arm, a.order) for a in answers}
        keys = ((solver, str(arm), order) for arm in arms for order in self.orders for solver in solvers)
        return [key for key in keys if key not in asked]

    def pairs(
        self, answers: Sequence[Answer], solver: str, arms: tuple[Arm, Arm]
    ) -> Iterator[tuple[Answer | None, ...]]:
        """What a solver said on one arm beside what it said on the other, reply by reply."""
        one, other = ({(a.order, a.rollout): a for a in self.replies(answers, solver, arm) if a} for arm in arms)
        missing = {(order, 0) for order in self.orders}
        for key in sorted(one.keys() | other.keys() | missing):
            yield one.get(key), other.get(key)


class ProbeRule(Rule):
    """A filter that judges by the replies of the probe, which asks the questions that are made from captions."""

    phase: ClassVar[Phase] = Phase.PROBE

    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)

    @abstractmethod
    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict over the replies of the solvers that the panel names."""

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
        """Solvers and orders too: who must have replied, and how often."""
        asked = {
            stage: {"solvers": list(probe.solvers), "other_order": probe.other_order}
            for stage, probe in self._probes(recipe)
        }
        params = super().params(recipe) | {"asked": asked.pop(Stage.PERCEPTION, {})}
        return params | ({"asked_of_others": asked} if asked else {})

    def check(self, recipe: RecipeView) -> None:
        """It judges questions that are probed, and the arms it reads must be asked."""
        check_captioned(self, recipe, "reads the probe, which asks questions made from captions")
        for stage, probe in self._probes(recipe):
            if missing := [arm for arm in self.arms_read if arm not in probe.arms]:
                raise ValueError(f"the filter {self.name} needs {' and '.join(missing)} in {stage}.probe.arms")
            self.check_probe(stage, probe)

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if a stage's probe does not give what the filter needs."""

    def _probes(self, recipe: RecipeView) -> Iterator[tuple[str, ProbeSection]]:
        return ((stage, made.probe) for stage, made in recipe.captioned.items() if stage in self.stages)


def needed(quorum: Quorum, solvers: int) -> int:
    """The number of solvers, of `solvers` in all, that a quorum is."""
    return {"all": solvers, "majority": solvers // 2 + 1, "any": 1}[quorum]


def still_open(states: Mapping[str, bool | None], wanted: int) -> list[str]:
    """The solvers whose unknown state can still change whether `wanted` of the states are true."""
    true, unknown = [s for s, state in states.items() if state], [s for s, state in states.items() if state is None]
    return unknown if len(true) < wanted <= len(true) + len(unknown) else []


class QuorumRule(ProbeRule):
    """A filter that objects where enough solvers show the same fault.

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
