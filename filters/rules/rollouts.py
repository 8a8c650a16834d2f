"""Filters on rollouts: whether a row has a pass rate, and whether it lies in the recipe's band.

If most replies are truncated or failed, the pass rate is unmeasured rather than zero.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, RecipeView
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.stats import PassRate
from datagen.early_stopping import keeps, tally
from datagen.setting import Setting
from filters.base import Judge, Rule


class RolloutRule(Rule):
    """A filter that judges by the rollouts; it cannot label, since orders rely on its drops."""

    phase: ClassVar[Phase] = Phase.ROLLOUT

    action: Literal["drop"] = "drop"

    @abstractmethod
    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict on the rollouts of one question."""

    def judging(self, at: Setting) -> Judge:
        """`judge` with the recipe's section of rollouts."""
        return lambda question, answers: self.judge(question, answers, at.recipe.rollouts)


class RolloutsSection(RolloutRule):
    """The row has a pass rate, without which it cannot be ordered.

    At least one of its replies, and at least the share `rollouts.readable`, is readable.
    """

    name: Literal["rollouts"] = "rollouts"

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The section's keys and `rollouts.readable`."""
        return super().params(recipe) | {"readable": recipe.rollouts.readable}

    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict on the number of readable rollouts."""
        rate = PassRate.of(answer.outcome for answer in answers)
        if rate.measured(band.readable):
            return self.verdict(question, True, Reason.KEPT, "", answers)
        return self.verdict(question, False, Reason.UNMEASURED, f"{rate.n} of {rate.asked} readable", answers)


class DifficultySection(RolloutRule):
    """The pass rate lies between `rollouts.above` and `rollouts.below`, both exclusive.

    With `interval: inside` its 95 % interval must too. With early stopping the counts may be of fewer than K rollouts,
    but only if the missing ones cannot change the verdict.
    """

    name: Literal["difficulty"] = "difficulty"
    interval: Literal["ignored", "inside"] = "ignored"

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The section's keys and the band."""
        rollouts = recipe.rollouts
        return super().params(recipe) | {"above": rollouts.above, "below": rollouts.below, "k": rollouts.k}

    def check(self, recipe: RecipeView) -> None:
        """Raise ValueError if early stopping leaves out replies that the interval needs."""
        rollouts = recipe.rollouts
        early = rollouts.stop == "decided" or rollouts.interval is not None
        if self.interval == "inside" and early:
            raise ValueError(
                "difficulty with interval: inside needs all replies of the rows it keeps; "
                "set rollouts.stop to never, or to dropped without rollouts.interval"
            )

    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict on the pass rate; a question without readable rollouts is dropped as unmeasured."""
        rate = tally(answers, band.k)
        reason = self._reason(rate, band) if rate.n else Reason.UNMEASURED
        return self.verdict(question, reason is Reason.KEPT, reason, str(rate), answers)

    def _reason(self, found: PassRate, band: RolloutSection) -> Reason:
        if not keeps(found.rate, band):
            return Reason.TOO_HARD if band.above is not None and found.rate <= band.above else Reason.TOO_EASY
        sure = all(keeps(end, band) for end in found.interval)
        return Reason.KEPT if sure or self.interval == "ignored" else Reason.RATE_UNSURE
