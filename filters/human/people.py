"""The filter `human`: verdicts from reviews.

Verdicts are a function of the reviews and the recipe's rule, so after a change of either the ledger ends in the same
state as if it had been so from the start.
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


def settle(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> None:
    """Append missing verdicts and regrades; with `within`, a share of the questions, only regrades of that share."""
    if run.reviews.shards():
        if within is None:
            run.verdicts.append(_missing(run, recipe))
        regrade.fill(run, recipe, within)


def decisions(found: Latest, recipe: Recipe) -> dict[str, Decision]:
    """Question id -> decision, for every question with a counting review, by id."""
    return {
        key: adjudicate(found.questions[key], reviews, recipe.review) for key, reviews in sorted(found.reviews.items())
    }


def _missing(run: Run, recipe: Recipe) -> Iterator[Verdict]:
    """Verdicts that differ from the last one in the ledger, including withdrawals."""
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
