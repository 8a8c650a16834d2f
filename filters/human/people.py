"""The filter `human`: bring the ledger up to date with the reviews, whichever way they came in.

Reviews stay; verdicts follow from them and from the recipe's rule, so a changed rule, a changed answer or one that was
taken back ends in the same ledger as if it had been so from the start.
"""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Verdict
from capcurriculum.run import Run
from filters.human import regrade
from filters.human.adjudicate import Decision, adjudicate
from filters.human.latest import Latest, latest


def settle(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> int:
    """Append the verdicts and regraded answers that are missing; returns how many verdicts.

    A build that works on a share of the questions (`within`) leaves the verdicts to one that sees all of them.
    """
    if not run.reviews.shards():
        return 0
    count = run.verdicts.append(_missing(run, recipe)) if within is None else 0
    regrade.fill(run, recipe, within)
    return count


def decisions(found: Latest, recipe: Recipe) -> dict[str, Decision]:
    """Question id -> the decision of its reviewers, for every question with a review that counts."""
    return {
        key: adjudicate(found.questions[key], reviews, recipe.review) for key, reviews in sorted(found.reviews.items())
    }


def _missing(run: Run, recipe: Recipe) -> Iterator[Verdict]:
    """Verdicts that differ from the last that stands in the ledger, under whatever rule that was made."""
    before = {v.question_id: v for v in run.verdicts.rows(pl.col("filter") == HUMAN)}
    made = {key: decision.verdict for key, decision in decisions(latest(run), recipe).items()}
    for key, verdict in made.items():
        if before.get(key) != verdict:
            yield verdict
    for key, last in sorted(before.items()):
        if key not in made:
            nothing = replace(
                last, keep=True, reason=Reason.WITHDRAWN, detail="", evidence=(), params=recipe.review.digest()
            )
            if last != nothing:
                yield nothing
