"""Which replies of the probe a question still needs, so that nothing is asked that cannot change the data.

A reply is needed as long as a filter that drops rows by the probe says that it could change its verdict, and no such
filter has dropped the question. Filters judge what is known: a reply that is unparsed or failed decides nothing, so
the other replies are asked for as if it were still to come. A question that all of them keep is then asked everything,
since labels, cards and reviewers read the other arms of kept rows; so is a control sample.

What is asked first is what decides most cheaply: the options as they are written before rotated ones, the image before
the caption, since most questions fall there, and the cheapest solver before the others.
"""

import re
from collections.abc import Container, Iterable, Sequence

from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase, ProbeKey
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import SCHEMA, Answer, Arm, Outcome, Question, digest

#: "32B" in a model's name: its parameters in billions.
_PARAMETERS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])")
_HASHED = 16**12


class Undecided:
    """What the probe of one stage has still to ask, by the filters of a recipe."""

    def __init__(self, recipe: Recipe, stage: str, corrected: Container[str] = ()) -> None:
        """`corrected` are questions whose key people corrected: a new reply is graded under it only later."""
        self._recipe, self._probe, self._corrected = recipe, recipe.captioned[stage].probe, corrected
        self._filters = [
            f for f in recipe.filters if f.phase is Phase.PROBE and stage in f.stages and f.action == "drop"
        ]
        #: Solvers, the cheapest first.
        self.solvers = cheapest_first(self._probe.solvers, recipe)
        arms = sorted(map(Arm, self._probe.arms), key=lambda arm: (arm is not Arm.IMAGE, arm is not Arm.CAPTION))
        orders = (0, 1) if self._probe.other_order else (0,)
        #: Every reply that can be asked for, the most decisive first.
        self.keys: tuple[ProbeKey, ...] = tuple((s, str(arm), o) for o in orders for arm in arms for s in self.solvers)

    def needed(self, question: Question, answers: Sequence[Answer]) -> list[ProbeKey]:
        """The replies that are needed beside these, in the order in which they are worth asking.

        One that could not be read is needed again, and says nothing, until it was asked for as often as it may be.
        """
        asked = {key_of(answer) for answer in answers if not self.asked_again(answer)}
        rest = [key for key in self.keys if key not in asked]
        if not rest or self.in_control(question):
            return rest
        wanted = self.deciding(question, answers)
        if wanted is None:
            return []
        return [key for key in rest if key in wanted] or rest

    def asked_again(self, answer: Answer) -> bool:
        """Whether a reply is to be asked for again."""
        return answer.outcome == Outcome.UNPARSED and answer.rollout < self._probe.again

    def decisive(self, question: Question, answers: Sequence[Answer]) -> set[ProbeKey]:
        """The replies that are needed whatever comes of the question, or that decide it; not those of kept ones."""
        if self.in_control(question):
            return set(self.keys)
        return self.deciding(question, answers) or set()

    def in_control(self, question: Question) -> bool:
        """Whether the question is asked everything, whatever comes."""
        return (
            self._probe.stop == "never"
            or question.question_id in self._corrected
            or in_control(question.question_id, self._probe.control)
        )

    def deciding(self, question: Question, answers: Sequence[Answer]) -> set[ProbeKey] | None:
        """The replies that can still change whether the question is kept: none if it is, None if it is dropped."""
        wanted: set[ProbeKey] = set()
        there = [answer for answer in answers if not self.asked_again(answer)]
        for section in self._filters:
            keep, still_open = section.outlook(self._recipe, question, there)
            if not keep and not still_open:
                return None
            wanted.update(still_open)
        return wanted


def key_of(answer: Answer) -> ProbeKey:
    """What names a reply among those of the probe to its question."""
    return answer.solver, answer.arm, answer.order


def in_control(question_id: str, share: float) -> bool:
    """Whether a question belongs to the control sample: a `share` of all questions, drawn by a hash of their ids."""
    return share > 0 and int(digest(SCHEMA, "control", question_id)[:12], 16) < share * _HASHED


def cheapest_first(solvers: Iterable[str], recipe: Recipe) -> tuple[str, ...]:
    """Solvers by their price, or by the parameters that their models' names state; as given where one says neither."""
    named = tuple(solvers)
    for cost in (_price, _parameters):
        costs = {name: cost(recipe.models[name]) for name in named}
        if None not in costs.values():
            return tuple(sorted(named, key=lambda name: costs[name] or 0.0))
    return named


def turns(solvers: Sequence[str]) -> tuple[str, ...]:
    """In which order solvers are asked that cannot be asked at once: each in turn, and each but the last once more.

    The second time is for the other arms of questions that are kept by then.
    """
    return (*solvers, *reversed(solvers[:-1]))


def _price(model: ModelSection) -> float | None:
    if model.price_in is None or model.price_out is None:
        return None
    return model.price_in + model.price_out


def _parameters(model: ModelSection) -> float | None:
    found = _PARAMETERS.findall(model.model)
    return float(found[-1]) if found else None
