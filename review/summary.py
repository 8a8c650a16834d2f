"""Summary of a review: `review.json` in the run, in the format of `audit.json`, and its printed form."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl
from rich.console import Console

from capcurriculum.ledger.corrections import corrections
from capcurriculum.recipe import Recipe
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from datagen.auditor import Opinion
from filters.audit import noise
from filters.audit.noise import COLUMNS
from filters.human import people
from filters.human.adjudicate import Decision
from filters.human.form import Right
from filters.human.latest import latest
from review import certificate
from review.agreement import Agreement, agreements
from review.certificate import Certificate
from review.design import strata
from review.estimate import Estimate, estimate
from review.population import population
from review.sample import Sample, load

FILE = "review.json"


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's labels as its reviewers judge them.

    `verdicts` counts the reasons of the `human` filter; `outside` are reviewed questions outside of the present sample,
    which get verdicts but do not enter the estimate; `older` are reviews of another version of their question.
    """

    sample: Sample | None
    estimate: Estimate | None
    certificates: Sequence[Certificate]
    agreements: tuple[Agreement, ...] | None
    verdicts: Mapping[str, int]
    corrected: int
    reviews: int
    people: int
    outside: int
    older: int
    opinions: Mapping[str, Opinion]


def summarise(run: Run, recipe: Recipe) -> Summary:
    """Summarise the table of reviews; verdicts need not be in the ledger yet."""
    found, drawn = latest(run), load(run)
    decided = people.decisions(found, recipe)
    opinions = {key: decision.opinion for key, decision in decided.items()}
    votes = {
        key: (sum(r.right == Right.NO for r in reviews), sum(r.right == Right.YES for r in reviews))
        for key, reviews in found.reviews.items()
    }
    agreed = agreements(found.reviews)
    rates = estimate(drawn, opinions, votes, drawn.design.seed) if drawn and decided else None
    misses = rates.slips[1] if rates and rates.slips else None
    return Summary(
        sample=drawn,
        estimate=rates,
        certificates=_certificates(run, recipe, drawn, decided, votes, misses) if drawn and decided else (),
        agreements=None if agreed is None else tuple(agreed),
        verdicts=dict(sorted(Counter(str(one.verdict.reason) for one in decided.values()).items())),
        corrected=corrections(run, recipe).keys.height,
        reviews=sum(map(len, found.reviews.values())),
        people=len(found.people),
        outside=len(decided.keys() - (drawn.by_id.keys() if drawn else set())),
        older=found.older,
        opinions=opinions,
    )


def _certificates(
    run: Run,
    recipe: Recipe,
    drawn: Sample,
    decided: Mapping[str, Decision],
    votes: Mapping[str, tuple[int, int]],
    misses: float | None,
) -> list[Certificate]:
    rows = population(run, recipe, drawn.design.stages)
    kept = (
        strata(rows, drawn.design, drawn)
        .filter("kept")
        .join(rows.select("question_id", now="kept"), on="question_id", maintain_order="left")
    )
    auditors = noise.opinions(run, pl.col("question_id").is_in(list(decided)))
    return certificate.certificates(drawn, kept, certificate.Answers(decided, votes, auditors, misses))


def write(run: Run, recipe: Recipe, summary: Summary) -> None:
    """Write `review.json` into the run."""
    drawn = summary.sample.drawn if summary.sample else ()
    found = summary.estimate
    facts = {
        "rule": recipe.review.params(),
        "people": summary.people,
        "reviews": summary.reviews,
        "older_versions": summary.older,
        "outside_sample": summary.outside,
        "verdicts": summary.verdicts,
        "corrected_keys": summary.corrected,
        "agreement": None if summary.agreements is None else [asdict(line) for line in summary.agreements],
        "slips": found and found.slips and {"false_alarms": found.slips[0], "misses": found.slips[1]},
        "design": summary.sample and asdict(summary.sample.design),
        "certificates": [asdict(one) for one in summary.certificates],
        "cells": [asdict(cell) for cell in summary.sample.cells] if summary.sample else [],
        "rates": [asdict(rate) for rate in found.rates] if found else [],
        "sample": [asdict(d) | {"opinion": summary.opinions.get(d.question_id, Opinion.UNKNOWN)} for d in drawn],
    }
    write_atomically(run.path / FILE, (json.dumps(facts, indent=1) + "\n").encode())


def show(summary: Summary, console: Console) -> None:
    """Print rates, agreement and notes."""
    if summary.estimate:
        console.print(grid(("stratum", *COLUMNS), (rate.cells() for rate in summary.estimate.rates), COLUMNS))
    if summary.agreements:
        numbers = ("alpha", "questions", "people")
        console.print(grid(("agreement on", *numbers), map(_agreed, summary.agreements), numbers))
    for line in _lines(summary):
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def _agreed(line: Agreement) -> tuple[object, ...]:
    alpha = "undefined" if line.alpha is None else f"{line.alpha:.2f}"
    return line.asked, alpha, line.questions, line.people


def _lines(summary: Summary) -> Iterator[str]:
    verdicts = ", ".join(f"{reason} {count}" for reason, count in summary.verdicts.items()) or "none"
    yield f"{summary.reviews} reviews by {summary.people} people; verdicts: {verdicts}"
    if summary.estimate and summary.estimate.slips:
        alarms, misses = summary.estimate.slips
        yield (
            f"People call a right key wrong in about {alarms:.1%} of their answers and a wrong one right in "
            f"{misses:.1%}; the shares are corrected for it."
        )
    elif summary.estimate:
        yield "Too few questions have two answers to tell people's own mistakes; these are in the shares."
    for one in summary.certificates:
        yield f"{', '.join(one.stages)}: {' '.join(one.sentences())}"
    if summary.agreements is None:
        yield "Agreement is not computed: NLTK is not installed (extra `review`)."
    if summary.outside:
        yield f"{summary.outside} reviewed questions are outside the sample: their verdicts count, not in the shares."
    if summary.older:
        yield f"{summary.older} answers were about another version of their question and do not count."
