"""Does stage 1 alone raise held-out perception accuracy? `python -m benchmarks.stage1_gain`, an hour on two cores.

Builds and trains `curricula/recipes/proof.yaml` in the folder of runs, or goes on where an earlier call was stopped,
and asks the model before and after 4 times at temperature 1 about every question of the images that no training row
shows, whether the perception rule kept it or not: rows that the rule kept were chosen by the errors of two solvers, and
a choice of rows could flatter a model. The number is the lower end of the paired bootstrap interval of the gain.
With `--hard` the same for training on nothing but rows that a solver misses (`curricula/recipes/proof_hard.yaml`).
"""

import argparse
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import existing
from capcurriculum.stats import Gain, gain
from curricula.build import build
from curricula.held_out import held_out
from evaluation import heldout
from training.chain import train

RECIPES = Path(__file__).parent.parent / "curricula" / "recipes"
REPLIES = 4
BEFORE, AFTER = "start", "after perception"


def gain_low() -> float:
    """Lower end of the 95 % interval of the gain, a share."""
    return trained_gain(recipe.load(RECIPES / "proof.yaml")).low


def trained_gain(wanted: Recipe) -> Gain:
    """The gain of a recipe, built and trained where it is not yet."""
    build(wanted, Display())
    train(wanted)
    return gain_of(wanted)


def gain_of(wanted: Recipe) -> Gain:
    """The gain over every held-out perception question; also told, for those that the rule kept."""
    before, after = heldout.evaluate(
        wanted, REPLIES, Display(), every_question=True, stages=["perception"], labels=[BEFORE, AFTER]
    )
    kept = {question.question_id for question in held_out(existing(wanted.run_dir), wanted)["perception"]}
    found = gain(before.rates, after.rates)
    print(f"every question: {found.rows} rows, right {before.accuracy:.1%}, then {after.accuracy:.1%}, gain {found}")
    print(f"kept by the rule: {len(kept)} rows, gain {gain(_only(kept, before.rates), _only(kept, after.rates))}")
    print(f"unparsed {before.unparsed:.1%}, then {after.unparsed:.1%}; tokens {before.tokens:.1f}, {after.tokens:.1f}")
    return found


def _only(rows: Collection[str], rates: Mapping[str, float]) -> dict[str, float]:
    return {row: share for row, share in rates.items() if row in rows}


def main() -> None:
    """Measure, and print every number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stage1_gain", description=__doc__)
    parser.add_argument("--hard", action="store_true", help="train on rows alone that a solver misses")
    parser.add_argument("--runs", help="the folder of runs (default: the recipe's)")
    arguments = parser.parse_args()
    wanted = recipe.load(RECIPES / ("proof_hard.yaml" if arguments.hard else "proof.yaml"))
    found = trained_gain(wanted.model_copy(update={"runs": arguments.runs or wanted.runs}))
    print(json.dumps({"gain": found.mean, "low": found.low, "high": found.high}))


if __name__ == "__main__":
    main()
