"""Keep what has a pass rate: enough rollouts whose answer could be read.

Where most replies were cut off or never came, a pass rate of zero would say that the row is hard, and it says only that
nothing was seen.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, RecipeView
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.stats import PassRate
from filters.base import Judge, Rule, Setting


class RolloutsSection(Rule):
    """A row has a pass rate: at least the share `rollouts.readable` of its replies could be read, and one of them.

    Nothing can be ordered without it.
    """

    phase: ClassVar[Phase] = Phase.ROLLOUT

    name: Literal["rollouts"] = "rollouts"
    action: Literal["drop"] = "drop"

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The share too."""
        return super().params(recipe) | {"readable": recipe.rollouts.readable}

    def judging(self, at: Setting) -> Judge:
        """`judge` with the recipe's rollouts."""
        return lambda question, answers: self.judge(question, answers, at.recipe.rollouts)

    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict over the rollouts of one question."""
        rate = PassRate.of(answer.outcome for answer in answers)
        if rate.measured(band.readable):
            return self.verdict(question, True, Reason.KEPT, "", answers)
        return self.verdict(question, False, Reason.UNMEASURED, f"{rate.n} of {rate.asked} readable", answers)
