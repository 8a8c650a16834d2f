"""`review push --certify 0.05`: the smallest sample of kept rows that can show at most that share of wrong labels.

It is a random one, or one in which the rows that auditors doubt come first, where what people have answered so far says
that the others need so few then that the two together are fewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from capcurriculum.errors import ReviewError
from datagen.auditor import Opinion
from review.bound import Plan, smallest, sure
from review.design import AUDITORS
from review.sample import Design

#: The share of wrong labels that is expected where nobody has looked yet, as a part of the share to be shown.
EXPECTED = 0.3


@dataclass(frozen=True, slots=True)
class Certifying:
    """A design whose sample shows at most `target` wrong labels among `rows` kept ones, if `expected` are wrong."""

    design: Design
    plan: Plan
    target: float
    expected: float
    rows: int
    doubted: int
    sure: Plan | None

    def sentence(self) -> str:
        """What the sample can show, with which chance."""
        first = (
            f"the {self.doubted:,} that auditors doubt and {self.plan.drawn:,} of the others" if self.doubted else ""
        )
        wrong = f"no more than {self.plan.allowed:,} of them" if self.plan.allowed else "none of them"
        said = (
            f"{self.design.size:,} of {self.rows:,} kept rows{f', {first},' if first else ''} show at most "
            f"{self.target:.1%} wrong labels if {wrong} {'is' if self.plan.allowed < 2 else 'are'} wrong; with "
            f"{self.expected:.1%} wrong labels that is so in {self.plan.chance:.0%} of all samples"
        )
        if self.sure and self.sure.drawn > self.plan.drawn:
            said += f" (with {self.sure.drawn + self.doubted:,} rows in {self.sure.chance:.0%})"
        return f"{said}."


def certifying(
    design: Design, kept: pl.DataFrame, people: Mapping[str, Opinion], target: float, expected: float | None
) -> Certifying:
    """The design, from that of the present sample.

    Args:
        design: whose stages and seed are taken over.
        kept: the kept rows of the population (see `review.population`).
        people: what people say of the questions that they have decided.
        target: the share to be shown.
        expected: the share that is expected; by default what people found, or `EXPECTED` of the target.

    Raises:
        ReviewError: no sample but all rows can show it, or a share is not between 0 and 1.
    """
    if not 0 < target < 1 or (expected is not None and not 0 <= expected < 1):
        raise ReviewError("The share to certify and the expected one lie between 0 and 1, for example --certify 0.05.")
    seen = kept.filter(pl.col("question_id").is_in(list(people)))
    wrong = [key for key in seen["question_id"] if people[key] is Opinion.DISAGREE]
    if expected is None:
        expected = max(EXPECTED * target if not seen.height else 0.0, len(wrong) / max(1, seen.height))
    if expected >= target:
        raise ReviewError(
            f"With {expected:.1%} wrong labels expected no sample shows at most {target:.1%}: let a filter or people "
            "take wrong rows out first, certify more, or say --expect."
        )
    at_random = smallest(kept.height, target, expected)
    if at_random is None:
        raise ReviewError(
            f"Only a review of all {kept.height:,} kept rows shows at most {target:.1%}: --size gives it."
        )
    chosen = Certifying(
        replace(design, kind="kept", by=(), size=at_random.drawn), at_random, target, expected, kept.height, 0,
        sure(kept.height, target, expected),
    )  # fmt: skip
    first = _doubted_first(chosen, kept, wrong)
    return first if first and first.design.size < chosen.design.size else chosen


def _doubted_first(at_random: Certifying, kept: pl.DataFrame, wrong: list[str]) -> Certifying | None:
    """The design that looks at all rows which auditors doubt; None if people's answers do not tell what it is worth."""
    doubted = kept.filter("doubted")
    caught = doubted.filter(pl.col("question_id").is_in(wrong)).height
    judged = kept.filter(pl.col("doubted").is_not_null(), pl.col("question_id").is_in(wrong)).height
    others = kept.height - doubted.height
    if not judged or not others:
        return None
    missed = 1 - (caught + 0.5) / (judged + 1)  # with Jeffreys' prior
    expected = min(1.0, at_random.expected * missed * kept.height / others)
    # Wrong rows among the doubted are found, so all that may be left are among the others.
    target = at_random.target * kept.height / others
    if expected >= target or (plan := smallest(others, target, expected)) is None:
        return None
    size = doubted.height + plan.drawn
    design = replace(at_random.design, by=(AUDITORS,), size=size)
    return replace(at_random, design=design, plan=plan, doubted=doubted.height, sure=sure(others, target, expected))
