"""`python -m evaluation.heldout RECIPE`: accuracy on held-out rows before training and after each stage.

Rows of the validation and test splits are asked as in training, `--rollouts` times each at temperature 1, and graded by
the function of the reward. Models with stored scores are not asked again. With `--every-question` the questions of
held-out images that filters dropped are included, so that the selection of rows favours no model.
"""

import argparse
import importlib.util
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import ModelSection
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.render.terminal import console, visible
from capcurriculum.rows import Outcome, Question, Sampling, digest
from capcurriculum.run import Run, existing, recipe_of
from capcurriculum.tables import write_atomically
from curricula import make
from curricula.held_out import held_out, unseen
from datagen import engines
from datagen.solver import Asked, graded, home_arm, request
from datagen.sources import gather
from evaluation import heldout_table
from evaluation.results import results
from evaluation.results.results import HeldOut
from training import plan, stage_sets

_VERSION = 2  # of the stored file
_SAMPLING = Sampling(temperature=1.0, max_tokens=96)


def models(wanted: Recipe) -> list[tuple[str, str, str]]:
    """(label, checkpoint, its digest) before training and after every finished stage.

    Raises:
        RunError: no stage is finished.
    """
    file = wanted.training_dir / "plan.json"
    stages = [stage for stage in plan.load(file) if stage.state == plan.State.DONE]
    if not stages:
        raise RunError(f"{file} has no finished stage; train first.")
    after = [(f"after {stage.stage}", stage.checkpoint, stage.checkpoint_digest) for stage in stages]
    return [("start", stages[0].parent, stages[0].parent_digest), *after]


def _score(label: str, stage: str, outcomes: Sequence[tuple[Asked, Outcome, int]]) -> HeldOut:
    by_row: dict[str, list[bool]] = {}
    for item, outcome, _ in outcomes:
        by_row.setdefault(item.question.question_id, []).append(outcome is Outcome.RIGHT)
    shares = {row: sum(right) / len(right) for row, right in by_row.items()}
    rates = list(shares.values())
    mean = sum(rates) / len(rates)
    spread = math.sqrt(sum((r - mean) ** 2 for r in rates) / max(len(rates) - 1, 1) / len(rates))
    return HeldOut(
        model=label,
        stage=stage,
        rows=len(rates),
        replies=len(outcomes),
        accuracy=mean,
        half_width=1.96 * spread,
        unparsed=sum(o is Outcome.UNPARSED for _, o, _ in outcomes) / len(outcomes),
        tokens=sum(tokens for _, _, tokens in outcomes) / len(outcomes),
        rates=shares,
    )


def evaluate(
    wanted: Recipe,
    rollouts: int,
    display: Display,
    *,
    every_question: bool = False,
    at_most: int | None = None,
    stages: Collection[str] | None = None,
    labels: Collection[str] | None = None,
) -> list[HeldOut]:
    """Scores of every model (or of `labels`) on every stage (or on `stages`), stored in `evaluation/` of the run.

    With `at_most`, the first so many rows of each stage by id, which is a random sample since ids are hashes.

    Raises:
        RunError: there is no run, no stage is finished, or the rows of the run differ from those of the recipe.
        EngineError: a checkpoint cannot be loaded.
    """
    run = existing(wanted.run_dir)
    make.check_belongs(run, wanted, stage_sets.folder_of(run, wanted, wanted.training or TrainingRecipe()))
    folders = gather.folders(run, wanted)
    found = unseen(run, wanted) if every_question else held_out(run, wanted)
    held = {
        stage: sorted(rows, key=lambda row: row.question_id)[:at_most] if at_most else rows
        for stage, rows in found.items()
        if stages is None or stage in stages
    }
    scores: list[HeldOut] = []
    for label, checkpoint, weights in models(wanted):
        if labels is None or label in labels:
            scores += measured(run, label, checkpoint, held, folders, rollouts, display, weights)
    return scores


def measured(
    run: Run,
    label: str,
    checkpoint: str,
    held: Mapping[str, Sequence[Question]],
    folders: Mapping[str, Path],
    rollouts: int,
    display: Display,
    weights: str = "",
) -> list[HeldOut]:
    """The scores of one checkpoint, read from the run if they are stored."""
    ids = sorted(question.question_id for rows in held.values() for question in rows)
    name = f"heldout-{digest(_VERSION, label, _weights(checkpoint), rollouts, ids)}.json"
    file = run.path / "evaluation" / name
    if not file.is_file():
        display.note(f"held-out rows, {label}")
        found = []
        with engines.create(ModelSection(engine="transformers", model=checkpoint)) as engine:
            for stage, rows in held.items():
                # A reply is seeded by its key, so the constant model name gives all models the same draws.
                asked = [Asked(question, home_arm(question), k) for question in rows for k in range(rollouts)]
                requests = [request(item, "held-out", _SAMPLING, folders) for item in asked]
                by_key = dict(zip((one.key for one in requests), asked, strict=True))
                replies = ((by_key[reply.key], reply) for reply in engine.stream(iter(requests)))
                outcomes = [(item, graded(item.question, r)[0], r.tokens_out) for item, r in replies]
                found.append(_score(label, stage, outcomes).model_copy(update={"weights": weights}).model_dump())
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, json.dumps(found, indent=1).encode())
    return results.held_out_in(file)


def _weights(checkpoint: str) -> list[str]:
    """Names, sizes and times of a checkpoint's weights, to detect a folder that was written again."""
    folder = Path(checkpoint)
    return [f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in sorted(folder.glob("*.safetensors"))]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and plot it if matplotlib is installed."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.heldout", description="Accuracy on held-out rows.")
    parser.add_argument("recipe")
    parser.add_argument("--rollouts", type=int, default=4, help="replies to every row (default 4)")
    parser.add_argument("--every-question", action="store_true", help="also held-out questions that no filter kept")
    parser.add_argument(
        "--at-most", type=int, metavar="N", help="at most N rows a stage, drawn by the hash of their id"
    )
    parser.add_argument("--stage", action="append", help="only this stage's rows (may be repeated)")
    arguments = parser.parse_args(argv)
    wanted = recipe_of(arguments.recipe)
    scores = evaluate(
        wanted,
        arguments.rollouts,
        Display(),
        every_question=arguments.every_question,
        at_most=arguments.at_most,
        stages=arguments.stage,
    )
    out = console()
    out.print(heldout_table.table(scores))
    for sentence in heldout_table.sentences(scores):
        out.print(visible(sentence), markup=False, highlight=False)
    if importlib.util.find_spec("matplotlib"):
        for file in heldout_table.draw(scores, wanted.training_dir / "heldout"):
            out.print(visible(file), markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    from capcurriculum.unforeseen import exit_with

    raise SystemExit(exit_with(main))
