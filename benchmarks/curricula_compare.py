"""The paper's comparison of curricula in miniature: `python -m benchmarks.curricula_compare`.

The same rows are taught once in each of five ways, from the same model, with the same knobs and as many rollouts: only
their order differs, and where a stage ends. Each way and seed is a training of its own over one run
(`curricula/recipes/compare.yaml`), made by `capcurriculum train`. The script keeps nothing of its own: stop it, even
with kill -9, and the same command goes on with the step, the training or the measurement that was not finished.

Every trained model answers held-out rows of all three stages, the same for all, drawn by the hash of their id, whether
a filter kept them or not. Intervals come from drawing rows and seeds anew, both whole; with one seed they speak of rows
only.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import curricula_page
from benchmarks.curricula_page import REFERENCE, Result
from capcurriculum import recipe
from capcurriculum.progress import Display
from capcurriculum.recipe import Recipe
from capcurriculum.results import HeldOut
from capcurriculum.rows import Question
from capcurriculum.run import existing
from curricula.build import build
from curricula.held_out import unseen
from datagen.sources import gather
from evaluation import heldout
from training import curves, metrics, plan

RECIPE = Path(__file__).parent.parent / "curricula" / "recipes" / "compare.yaml"
#: Name -> the order that is trained; a staged order is a chain, each stage from the checkpoint of the one before.
WAYS: dict[str, Any] = {
    REFERENCE: {"order": "merged"},
    "difficulty": {"order": "difficulty"},
    "staged 1-2-3": {"order": "capability", "stages": ["perception", "text", "visual"]},
    "capability x difficulty": {"order": "capability_x_difficulty", "stages": ["perception", "text", "visual"]},
    "staged 3-2-1": {"order": "capability", "stages": ["visual", "text", "perception"]},
}
ROWS, REPLIES = 250, 2  # held-out rows a stage at most, replies to each


@dataclass(frozen=True, slots=True)
class Training:
    """One way and seed, with the recipe that trains it."""

    way: str
    seed: int
    recipe: Recipe

    @property
    def stages(self) -> list[plan.StagePlan]:
        """What the plan says; none before it was begun."""
        return plan.load(self.recipe.training_dir / "plan.json")

    @property
    def done(self) -> bool:
        """Whether every stage is."""
        return bool(self.stages) and all(stage.state == plan.State.DONE for stage in self.stages)


def trainings(base: Recipe, seeds: Sequence[int], ways: Sequence[str]) -> Iterator[Training]:
    """Every training of the comparison, one seed after the other."""
    section = base.model_dump(mode="json")
    for seed in seeds:
        for way in ways:
            name = f"{way.replace(' ', '-')}-seed{seed}"
            training = section["training"] | {"name": name, "seed": seed, "order": WAYS[way]}
            yield Training(way, seed, recipe.parse(section | {"training": training}, name))


def train(training: Training, folder: Path) -> None:
    """Train it, or go on with it, by the command that a user would give."""
    file = folder / f"{training.recipe.training_dir.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(recipe.dump(training.recipe), encoding="utf-8")
    code = subprocess.run([sys.executable, "-m", "capcurriculum.cli", "train", str(file)]).returncode
    if code:  # it has said why
        raise SystemExit(code)


def held_out(base: Recipe) -> dict[str, list[Question]]:
    """The rows that every model answers; ids are hashes, so the first of them are drawn at random."""
    return {stage: rows[:ROWS] for stage, rows in unseen(existing(base.run_dir), base).items()}


def results(base: Recipe, done: Sequence[Training]) -> Iterator[Result]:
    """The starting model's and every finished training's; what was measured before is read."""
    run, held = existing(base.run_dir), held_out(base)
    folders = gather.folders(run, base)

    def measured(label: str, checkpoint: str) -> dict[str, HeldOut]:
        scores = heldout.measured(run, label, checkpoint, held, folders, REPLIES, Display())
        return {score.stage: score for score in scores}

    if done:
        yield Result("start", 0, 0, 0, measured("start", done[0].stages[0].parent))
    for training in done:
        stages = training.stages
        scores = measured(training.recipe.training_dir.name, stages[-1].checkpoint)
        rollouts = sum(stage.total_steps * stage.batch_size * stage.rollouts for stage in stages)
        yield Result(training.way, training.seed, sum(s.total_steps for s in stages), rollouts, scores)


def page(base: Recipe, every: Sequence[Training], docs: Path) -> None:
    """Write table and curves of what is finished."""
    done = [training for training in every if training.done]
    found = list(results(base, done))
    series = {
        training.way: metrics.load(training.recipe.training_dir / curves.METRICS)
        for training in done
        if training.seed == min(one.seed for one in done)
    }
    curricula_page.write(found, series, docs, list(WAYS))


def main() -> None:
    """Build, train what is not trained, measure what is not measured, and write the page after every training."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curricula_compare", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds (default 1 2 3)")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="ways (default all five)")
    parser.add_argument("--runs", help="the folder of runs, where all state is (default: the recipe's)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no training after so many minutes")
    parser.add_argument("--page-only", action="store_true", help="train nothing, write the page of what is finished")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where experiments.md is (default docs)")
    arguments = parser.parse_args()
    base = recipe.load(RECIPE)
    base = base.model_copy(update={"runs": arguments.runs or base.runs})
    every = list(trainings(base, arguments.seeds, arguments.ways))
    begun = time.monotonic()
    if not arguments.page_only:
        build(base, Display())
        for training in every:
            if not training.done and time.monotonic() - begun < 60 * arguments.minutes:
                train(training, base.run_dir / "trainings" / "recipes")
                page(base, every, arguments.docs)
    page(base, every, arguments.docs)


if __name__ == "__main__":
    main()
