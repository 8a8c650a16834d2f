"""Who was asked, in which orders of the options, and how many of them must agree.

What a solver shows is True, False, or None: a reply that is unparsed, failed or missing is unknown, and unknown never
counts for either side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Quorum
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm, Outcome

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
        """A solver's known replies on an arm, and None for each that is unknown or was never given."""
        found: list[Answer | None] = []
        for order in self.orders:
            own = [a for a in answers if a.solver == solver and a.arm == arm and a.order == order]
            found += [a if a.outcome in KNOWN else None for a in own] or [None]
        return found

    def outcomes(self, answers: Sequence[Answer], solver: str, arm: Arm) -> list[Outcome | None]:
        """The same replies as right, wrong, or None where that is unknown."""
        return [Outcome(a.outcome) if a else None for a in self.replies(answers, solver, arm)]

    def pairs(
        self, answers: Sequence[Answer], solver: str, arms: tuple[Arm, Arm]
    ) -> Iterator[tuple[Answer | None, ...]]:
        """What a solver said on one arm beside what it said on the other, reply by reply."""
        one, other = ({(a.order, a.rollout): a for a in self.replies(answers, solver, arm) if a} for arm in arms)
        missing = {(order, 0) for order in self.orders}
        for key in sorted(one.keys() | other.keys() | missing):
            yield one.get(key), other.get(key)


def needed(quorum: Quorum, solvers: int) -> int:
    """How many of so many solvers a quorum is."""
    return {"all": solvers, "majority": solvers // 2 + 1, "any": 1}[quorum]


def objection(
    panel: Panel, shown: Callable[[str], bool | None], quorum: Quorum, reason: Reason, unknown: Reason
) -> tuple[bool, Reason, str]:
    """Whether to keep, why, and which solvers it rests on, where `shown` says what a solver speaks against a question.

    It is dropped on enough evidence alone; `unknown` is the reason of one that is kept because some of it is missing.
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
