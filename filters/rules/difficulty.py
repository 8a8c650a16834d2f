"""Keep the pass rates between the recipe's bounds; both bounds are exclusive.

The counts may be those of fewer than K rollouts where the recipe stops early: it stops only when the missing ones could
not change this verdict.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import DifficultySection
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.stats import PassRate
from datagen.early_stopping import keeps, tally
from filters.verdict import verdict

FILTER = "difficulty"
_BY_RATE = DifficultySection()


def judge(
    question: Question, answers: Sequence[Answer], band: RolloutSection, section: DifficultySection = _BY_RATE
) -> Verdict:
    """The verdict on a question's rollouts; one with none that could be read has no pass rate and is not kept."""
    rate = tally(answers, band.k)
    reason = _reason(rate, band, section) if rate.n else Reason.UNMEASURED
    return verdict(question, FILTER, reason is Reason.KEPT, reason, str(rate), answers)


def _reason(found: PassRate, band: RolloutSection, section: DifficultySection) -> Reason:
    if not keeps(found.rate, band):
        return Reason.TOO_HARD if band.above is not None and found.rate <= band.above else Reason.TOO_EASY
    sure = all(keeps(end, band) for end in found.interval)
    return Reason.KEPT if sure or section.interval == "ignored" else Reason.RATE_UNSURE
