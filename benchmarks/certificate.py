"""How often the noise certificate's bound holds, and how many rows people review until it shows 5 %.

A hundred worlds over one run: each time other kept rows have a wrong key, auditors doubt some rows, people review what
`--certify 0.05` draws, and the sample grows by the same command until the certificate shows the share or most rows are
reviewed. What is measured is the whole way from `review.certify` to `review.certificate`, without a server.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import polars as pl

from benchmarks.review_interval import reviews
from benchmarks.review_world import World, made
from capcurriculum.errors import ReviewError
from capcurriculum.rows import LETTERS, Question, Review
from datagen.auditor import Opinion
from filters.human.adjudicate import adjudicate
from filters.human.form import Right
from review import design
from review.certificate import Answers, Certificate, certificates
from review.certify import certifying
from review.estimate import estimate
from review.population import population
from review.sample import Design, Sample

QUESTIONS, REPETITIONS, TARGET, RATE = 4_000, 100, 0.05, 0.015
#: Shares of wrong keys among the kept rows under which the bound is tried; at the third it is hardest not to show 5 %.
RATES = (RATE, 0.04, 0.055, 0.1)
#: People a question and the share of slips of each.
PEOPLE = ((1, 0.0), (3, 0.05))
#: Of the wrong and of the right keys those that auditors doubt, about as in docs/experiments.md.
DOUBTED = (0.64, 0.16)
#: At most so many times the sample is drawn larger.
LOOKS = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """The first certificate and whether it holds; the last one, whether it holds, and how often people were asked."""

    first: Certificate
    first_holds: bool
    last: Certificate
    last_holds: bool
    looks: int


class Setting:
    """A run whose kept rows have so many wrong keys, others in each repetition."""

    def __init__(self, world: World, rate: float, people: int, slips: float) -> None:
        self.world, self.rate, self.people, self.slips = world, rate, people, slips
        self.rows = population(world.run, world.recipe)
        self.kept = self.rows.filter("kept")
        self.asked: Mapping[str, Question] = {q.question_id: q for q in world.run.questions.rows()}

    def repetition(self, seed: int) -> Outcome:
        """The certificates of one world, of samples that grow until they show the target."""
        rng = Random(f"certificate {self.rate} {seed}")
        keys = self.kept["question_id"].to_list()
        wrong = set(rng.sample(keys, round(self.rate * len(keys))))
        doubts = {key: rng.random() < DOUBTED[key not in wrong] for key in keys}
        kept = self.kept.with_columns(doubted=pl.col("question_id").replace_strict(doubts, return_dtype=pl.Boolean))
        found = list(self._looks(kept, wrong, doubts, seed))
        (first, held), (last, holds) = found[0], found[-1]
        return Outcome(first, held, last, holds, len(found))

    def _looks(
        self, kept: pl.DataFrame, wrong: set[str], doubts: Mapping[str, bool], seed: int
    ) -> Iterator[tuple[Certificate, bool]]:
        wanted, sample = Design("kept", seed=seed), None
        people: dict[str, Opinion] = {}
        for _ in range(LOOKS):
            try:
                wanted = certifying(wanted, kept, people, TARGET, None).design
            except ReviewError:
                return
            sample = design.draw(kept, wanted, sample)
            answers = self._answers(sample, wrong, doubts, seed)
            rows = design.strata(kept, sample.design, sample).with_columns(now=True)
            (one,) = certificates(sample, rows, answers)
            people = {key: one.opinion for key, one in answers.decided.items()}
            gone = {k for k, v in answers.decided.items() if v.opinion is Opinion.DISAGREE or not v.verdict.keep}
            yield one, len(wrong - gone) <= one.most
            if one.share <= TARGET:
                return

    def _answers(self, sample: Sample, wrong: set[str], doubts: Mapping[str, bool], seed: int) -> Answers:
        def right(question: Question) -> str:
            return (
                LETTERS[(LETTERS.index(question.answer) + 1) % 4] if question.question_id in wrong else question.answer
            )

        truth = {one.question_id: right(self.asked[one.question_id]) for one in sample.drawn}
        world = replace(self.world, truth=truth)
        said: dict[str, list[Review]] = {key: [] for key in truth}
        for review in reviews(sample, self.asked, world, seed, self.people, self.slips):
            said[review.question_id].append(review)
        rule = self.world.recipe.review
        decided = {key: adjudicate(self.asked[key], found, rule) for key, found in said.items()}
        votes = {
            key: (sum(r.right == Right.NO for r in found), sum(r.right == Right.YES for r in found))
            for key, found in said.items()
        }
        opinions = {key: decision.opinion for key, decision in decided.items()}
        slips = estimate(sample, opinions, votes, seed).slips if self.people > 1 else None
        auditors = {key: Opinion.DISAGREE if doubts[key] else Opinion.AGREE for key in truth}
        return Answers(decided, votes, auditors, slips[1] if slips else None)


@cache
def _outcomes(rate: float, people: int, slips: float, count: int = REPETITIONS) -> list[Outcome]:
    setting = Setting(_world(), rate, people, slips)
    return [setting.repetition(seed) for seed in range(count)]


@cache
def _world() -> World:
    return made(Path(tempfile.mkdtemp(prefix="certificate-")), QUESTIONS, seed=1, pictures=False)


def valid() -> float:
    """Worlds of a hundred in which the bound holds, the least over all rates and kinds of reviewers."""
    return min(
        100 * _share([one.first_holds for one in _outcomes(rate, *people)]) for rate in RATES for people in PEOPLE
    )


def rows() -> float:
    """Rows that people review, on average, until the certificate shows 5 % at a true rate of 1.5 %."""
    found = _outcomes(RATE, *PEOPLE[0])
    return sum(one.last.reviewed for one in found) / len(found)


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


def main() -> None:
    """Print every rate with every kind of reviewers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certificate", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    count = parser.parse_args().repetitions
    lines = []
    for people in PEOPLE:
        for rate in RATES:
            found = _outcomes(rate, *people, count)
            first, last = [one.first for one in found], [one.last for one in found]
            lines.append(
                {
                    "people": people[0], "slips": people[1], "wrong": rate,
                    "first rows": sum(c.reviewed for c in first) / count,
                    "first bound": sum(c.share for c in first) / count,
                    "shows 5 %": _share([c.share <= TARGET for c in first]),
                    "holds": _share([one.first_holds for one in found]),
                    "rows": sum(c.reviewed for c in last) / count,
                    "shows at last": _share([c.share <= TARGET for c in last]),
                    "last holds": _share([one.last_holds for one in found]),
                }
            )  # fmt: skip
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, float_precision=3):
        print(pl.DataFrame(lines))


if __name__ == "__main__":
    main()
