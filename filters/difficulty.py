"""Keep the pass rates between the recipe's bounds; both bounds are exclusive.

The counts may be those of fewer than K rollouts where the recipe stops early: it stops only when the missing ones could
not change this verdict.
"""

from collections.abc import Sequence

from capcurriculum.intervals import wilson
from capcurriculum.reasons import Reason
from capcurriculum.recipe import RolloutSection
from capcurriculum.recipe_filters import DifficultySection
from capcurriculum.rows import Answer, Question, Verdict
from datagen.stopping import Tally, keeps
from filters.verdict import verdict

FILTER = "difficulty"
_BY_RATE = DifficultySection()


def judge(
    question: Question, answers: Sequence[Answer], band: RolloutSection, section: DifficultySection = _BY_RATE
) -> Verdict:
    """The verdict on a question's rollouts; one with none answered has no pass rate and is not kept."""
    tally = Tally.of(answers, band.k)
    if not tally.answered:
        return verdict(question, FILTER, False, Reason.NOT_MEASURED, f"0 of {tally.asked} answered", answers)
    reason = _reason(tally, band, section)
    return verdict(question, FILTER, reason is Reason.KEPT, reason, f"{tally.right} of {tally.answered}", answers)


def _reason(tally: Tally, band: RolloutSection, section: DifficultySection) -> Reason:
    rate = tally.right / tally.answered
    if not keeps(rate, band):
        return Reason.TOO_HARD if band.above is not None and rate <= band.above else Reason.TOO_EASY
    sure = all(keeps(end, band) for end in wilson(tally.right, tally.answered))
    return Reason.KEPT if sure or section.interval == "ignored" else Reason.RATE_UNSURE
