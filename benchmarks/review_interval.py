"""How often the interval of a review holds the true share of wrong keys, and what corrected keys do to the kept set.

A hundred samples of one run whose truth is known, each looked at by three people who slip in one answer of twenty. What
is measured is the whole way from the sample to `review.estimate`, without a server.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import polars as pl

from benchmarks.review_world import SLIPS, World, looked, made
from capcurriculum.rows import Question, Review
from datagen.auditor import Opinion
from filters.audit.noise import Rate
from filters.human.adjudicate import adjudicate
from filters.human.form import Right, State, version
from review import design
from review.estimate import estimate
from review.population import population
from review.sample import Design, Sample

QUESTIONS, SIZE, PEOPLE, REPETITIONS = 4_000, 400, 3, 100


@dataclass(frozen=True, slots=True)
class Repetition:
    """The estimate of one sample and the truth, over all rows and over those kept."""

    all: tuple[Rate, float]
    kept: tuple[Rate, float]


def reviews(
    sample: Sample, asked: Mapping[str, Question], world: World, seed: int, people: int, slips: float = SLIPS
) -> Sequence[Review]:
    """What so many people say of every question of the sample."""
    found = []
    for person in range(people):
        rng = Random(f"{seed} {person}")
        for drawn in sample.drawn:
            question = asked[drawn.question_id]
            said = looked(question, world.truth[question.question_id], rng, slips)
            key = f"{seed}-{person}-{drawn.question_id}"
            at = f"person-{person}", "simulated", "2026-01-01T00:00:00.000+00:00", State.SUBMITTED
            told = said.right, said.choice, said.kind, said.quality
            found.append(Review(key, drawn.question_id, version(question), *at, *told))
    return found


def repetitions(
    world: World,
    kind: str = "stratified",
    by: tuple[str, ...] = ("fate",),
    people: int = PEOPLE,
    size: int = SIZE,
    count: int = REPETITIONS,
) -> list[Repetition]:
    """Estimates from samples and people that differ by their seeds alone."""  # fmt: skip
    rows = population(world.run, world.recipe)
    asked = {q.question_id: q for q in world.run.questions.rows()}
    wrong = {key: question.answer != world.truth[key] for key, question in asked.items()}
    kept = set(rows.filter("kept")["question_id"])
    true = sum(wrong.values()) / len(wrong), sum(wrong[key] for key in kept) / len(kept)
    found = []
    for seed in range(count):
        sample = design.draw(rows, Design(kind, by, (), size, seed))
        by_question: dict[str, list[Review]] = {}
        for review in reviews(sample, asked, world, seed, people):
            by_question.setdefault(review.question_id, []).append(review)
        opinions: dict[str, Opinion] = {}
        votes: dict[str, tuple[int, int]] = {}
        for key, said in by_question.items():
            opinions[key] = adjudicate(asked[key], said, world.recipe.review).opinion
            votes[key] = sum(r.right == Right.NO for r in said), sum(r.right == Right.YES for r in said)
        rates = {rate.stratum: rate for rate in estimate(sample, opinions, votes, seed).rates}
        found.append(Repetition((rates["all"], true[0]), (rates["kept"], true[1])))
    return found


def held(found: Sequence[tuple[Rate, float]]) -> float:
    """The share of intervals that hold the truth."""
    return sum(rate.low <= true <= rate.high for rate, true in found) / len(found)


@cache
def _measured() -> list[Repetition]:
    with tempfile.TemporaryDirectory() as folder:
        return repetitions(made(Path(folder), QUESTIONS, seed=1, pictures=False))


def coverage() -> float:
    """Share of 95 % intervals over all rows that hold the true share of wrong keys."""
    return held([one.all for one in _measured()])


def main() -> None:
    """Measure every design, with one person and with three."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review_interval", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    count = parser.parse_args().repetitions
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        world = made(Path(folder), QUESTIONS, seed=1, pictures=False)
        for kind, by in (
            ("random", ()),
            ("stratified", ("fate",)),
            ("stratified", ("fate", "skill", "band")),
            ("uncertain", ()),
        ):
            for people in (1, 3):
                found = repetitions(world, kind, by, people, count=count)
                for over in ("all", "kept"):
                    pairs: list[tuple[Rate, float]] = [getattr(one, over) for one in found]
                    mean = sum(rate.share or 0 for rate, _ in pairs) / len(pairs)
                    width = sum(rate.high - rate.low for rate, _ in pairs) / len(pairs)
                    lines.append((kind, "+".join(by), people, over, pairs[0][1], mean, width, held(pairs)))
    columns = ["design", "by", "people", "over", "true", "mean estimate", "mean width", "held"]
    with pl.Config(tbl_rows=-1, float_precision=3):
        print(pl.DataFrame(lines, schema=columns, orient="row"))


if __name__ == "__main__":
    main()
