"""Filters that judge by the rollouts: whether a row has a pass rate, and whether it lies in the recipe's band.

Where most replies were truncated or never came, a pass rate of zero would say that the row is hard, and it says only
that nothing was seen.
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
    """A filter that judges by the rollouts. It cannot label, since orders and bounds rely on what it drops."""

    phase: ClassVar[Phase] = Phase.ROLLOUT

    action: Literal["drop"] = "drop"

    @abstractmethod
    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict over the rollouts of one question."""

    def judging(self, at: Setting) -> Judge:
        """`judge` with the recipe's rollouts."""
        return lambda question, answers: self.judge(question, answers, at.recipe.rollouts)


class RolloutsSection(RolloutRule):
    """A row has a pass rate: at least the share `rollouts.readable` of its replies could be read, and one of them.

    Nothing can be ordered without it.
    """

    name: Literal["rollouts"] = "rollouts"

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The share too."""
        return super().params(recipe) | {"readable": recipe.rollouts.readable}

    def judge(self, question: Question, answers: Sequence[Answer], band: RolloutSection) -> Verdict:
        """The verdict over the rollouts of one question."""
        rate = PassRate.of(answer.outcome for answer in answers)
        if rate.measured(band.readable):
            return self.verdict(question, True, Reason.KEPT, "", answers)
        return self.verdict(question, False, Reason.UNMEASURED, f"{rate.n} of {rate.asked} readable", answers)


class DifficultySection(RolloutRule):
    """The pass rate lies between `rollouts.above` and `rollouts.below`, the one place of the band; both are exclusive.

    With `interval: inside` its 95 % interval must lie between them too. The counts may be those of fewer than K
    rollouts where the recipe stops early: it stops only when the missing ones could not change this verdict.
    """

    name: Literal["difficulty"] = "difficulty"
    interval: Literal["ignored", "inside"] = "ignored"

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
