"""Keep the pass rates between the recipe's bounds; both bounds are exclusive.

The counts may be those of fewer than K rollouts where the recipe stops early: it stops only when the missing ones could
not change this verdict.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, RecipeView
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.stats import PassRate
from datagen.early_stopping import keeps, tally
from filters.base import Judge, Rule, Setting


class DifficultySection(Rule):
    """The pass rate lies between `rollouts.above` and `rollouts.below`, the one place of the band.

    With `interval: inside` its 95 % interval must lie between them too.
    """

    phase: ClassVar[Phase] = Phase.ROLLOUT

    name: Literal["difficulty"] = "difficulty"
    interval: Literal["ignored", "inside"] = "ignored"
    action: Literal["drop"] = "drop"

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The band too."""
        rollouts = recipe.rollouts
        return super().params(recipe) | {"above": rollouts.above, "below": rollouts.below, "k": rollouts.k}

    def check(self, recipe: RecipeView) -> None:
        """Early stopping must not leave out replies that an interval would need."""
        rollouts = recipe.rollouts
        early = rollouts.stop == "decided" or rollouts.interval is not None
        if self.interval == "inside" and early:
            raise ValueError(
                "difficulty with interval: inside needs all replies of the rows it keeps; "
                "set rollouts.stop to never, or to dropped without rollouts.interval"
            )

    def judging(self, at: Setting) -> Judge:
        """`judge` with the recipe's rollouts."""
        return lambda question, answers: self.judge(question, answers, at.recipe.rollouts)

    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict on a question's rollouts; one with none that could be read has no pass rate and is not kept."""
        rate = tally(answers, band.k)
        reason = self._reason(rate, band) if rate.n else Reason.UNMEASURED
        return self.verdict(question, reason is Reason.KEPT, reason, str(rate), answers)

    def _reason(self, found: PassRate, band: RolloutSection) -> Reason:
        if not keeps(found.rate, band):
            return Reason.TOO_HARD if band.above is not None and found.rate <= band.above else Reason.TOO_EASY
        sure = all(keeps(end, band) for end in found.interval)
        return Reason.KEPT if sure or self.interval == "ignored" else Reason.RATE_UNSURE
