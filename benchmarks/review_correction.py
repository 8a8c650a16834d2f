"""What a review does to the labels that are trained on: right keys in the stage files before it and after it.

One key in ten of the run is wrong. Three people who slip in one answer of twenty look at what machines kept, or at a
part of it; their answers are adjudicated by the default rule, and the same command writes the files again.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import review_world
from benchmarks.review_interval import PEOPLE, reviews
from benchmarks.review_world import World
from capcurriculum.render.progress import Display
from capcurriculum.run import writing
from curricula import make
from curricula.make import STAGES
from review import design, sample
from review.population import population
from review.sample import Design

QUESTIONS = 1_500


@dataclass(frozen=True, slots=True)
class Set:
    """The rows of the stage files: how many there are, and how many of their answers are right."""

    rows: int
    right: int

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.rows


def files(world: World) -> Set:
    """Write the stage files as the run has them now, and read them back."""
    make.curriculum(world.recipe, STAGES, Display())
    found = [
        row
        for path in sorted(world.run.stages.glob("*/*.parquet"))
        for row in pq.read_table(path, columns=["question_id", "answer"]).to_pylist()
    ]
    return Set(len(found), sum(world.truth[row["question_id"]] == row["answer"] for row in found))


def reviewed(world: World, share: float) -> Set:
    """The stage files after a review of so much of what is kept."""
    with writing(world.recipe) as run:
        rows = population(run, world.recipe).filter("kept")
        drawn = design.draw(rows, Design("random", size=round(share * rows.height)))
        sample.save(run, drawn)
        asked = {q.question_id: q for q in run.questions.rows()}
        run.reviews.append(reviews(drawn, asked, world, 0, PEOPLE))
    return files(world)


@cache
def measured(share: float) -> tuple[Set, Set]:
    """Before and after."""
    with tempfile.TemporaryDirectory() as folder:
        world = review_world.made(Path(folder), QUESTIONS, seed=3)
        return files(world), reviewed(world, share)


def gain() -> float:
    """How much larger the share of right answers is after a review of all that is kept."""
    before, after = measured(1.0)
    return after.accuracy - before.accuracy


def main() -> None:
    """Measure reviews of a quarter, half, and all of what is kept."""
    argparse.ArgumentParser(prog="python -m benchmarks.review_correction", description=__doc__).parse_args()
    for share in (0.25, 0.5, 1.0):
        before, after = measured(share)
        told = {"reviewed": share, "rows_before": before.rows, "right_before": round(before.accuracy, 4)}
        print(json.dumps(told | {"rows_after": after.rows, "right_after": round(after.accuracy, 4)}))


if __name__ == "__main__":
    main()
