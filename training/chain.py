"""Train a recipe's stages one after the other, each from the exported checkpoint of the one before.

Everything that can be refused is refused before the first trainer starts: data, batch arithmetic, parent weights, a
plan that no longer fits. After that `plan.json` is written at every change of state, so running again goes on where it
stopped: done stages are left alone, a stage that died resumes from the trainer's own last checkpoint.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from training import dataset, export
from training.links import Links
from training.plan import State
from training.show import show
from training.stage import train_stage


def train(recipe: Recipe, *, dry_run: bool = False, console: Console | None = None) -> None:
    """Train `recipe`, or with `dry_run` print the plan and the commands and write nothing.

    Raises:
        TrainerError: the training may not start, does not fit what was begun, or a trainer failed; the plan keeps why.
        RecipeError: the training section or its backbone is not right.
    """
    console = console or Console(stderr=True)
    if recipe.training is None:
        raise TrainerError("The recipe has no training section; add `training: {backbone: micro}` to it.")
    links = Links(recipe, recipe.training)
    if dry_run:
        preflight(links)
        show(links, Console())
        return
    links.folder.mkdir(parents=True, exist_ok=True)
    with _alone(links.folder):
        links.stages = links.reconciled()  # another process may have trained since the first look
        preflight(links)
        links.save()
        for number, stage in enumerate(links.stages):
            if stage.state == State.DONE:
                console.print(f"{stage.stage}: done, {stage.total_steps} steps, {stage.checkpoint}")
            else:
                train_stage(links, number, console)


def preflight(links: Links) -> None:
    """Data of every stage to come, and the parent of each begun or next one."""
    for number, (link, stage) in enumerate(zip(links.links, links.stages, strict=True)):
        if stage.state != State.DONE:
            dataset.preflight(link.files)
        if number and links.stages[number - 1].state != State.DONE:
            continue  # its parent does not exist yet
        now = export.checkpoint_digest(links.parent(number))
        if stage.parent_digest not in ("", now):
            raise TrainerError(
                f"Stage {stage.stage} was begun from a parent checkpoint of digest {stage.parent_digest}, and "
                f"{links.parent(number)} now has {now}; restore it, or train under another recipe name."
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the training's lock; the system releases it however the process ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainerError(f"Another process is training in {folder}; wait for it or end it first.") from error
        yield
