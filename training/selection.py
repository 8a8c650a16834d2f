"""Select a stage's checkpoint: the last, or the best by accuracy on the stage's own validation rows.

verl deletes old checkpoints, the best one included, so the loadable weights of the best step are hard-linked to another
folder when its validation is known. Every validated step must also be saved; periods that do not ensure it are refused
at the start.
"""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.errors import RecipeError, TrainerError
from training.knobs import Knobs

#: verl's validation metric of the reward's `accuracy`: one per data source, the mean over n replies per row.
_ACCURACY = re.compile(r"^val-(?:core|aux)/(.+)/accuracy/mean@\d+$")
#: Prefix of a stage's name in the data source of its rows (`curricula.stage_rows`).
_OURS = "capcurriculum/"


@dataclass(frozen=True, slots=True)
class Choice:
    """A step, its validation accuracy (None if it was not validated), and the folder of its weights."""

    step: int
    accuracy: float | None
    weights: Path


def check(select: str, knobs: Knobs, stage: str) -> None:
    """Check that the knobs allow to select the best step.

    Raises:
        RecipeError: validation is off, or steps are validated that are not saved.
    """
    if select != "best":
        return
    if not knobs.validate_every:
        raise RecipeError(
            f"Stage {stage} selects the best checkpoint and never validates; set training.knobs.validate_every to a "
            f"multiple of save_every ({knobs.save_every}), or select: last."
        )
    if knobs.validate_every % knobs.save_every:
        raise RecipeError(
            f"Stage {stage} selects the best checkpoint, validates every {knobs.validate_every} steps and saves every "
            f"{knobs.save_every}, so what is validated may not be there; make validate_every a multiple of save_every."
        )


def validated(columns: Iterable[str]) -> dict[str, str]:
    """Stage (or other data source) of validation rows -> verl's metric of their accuracy, among `columns`."""
    found = ((_ACCURACY.match(name), name) for name in columns)
    return {match[1].removeprefix(_OURS): name for match, name in found if match}


def accuracies(steps: pl.DataFrame) -> dict[int, float]:
    """Validated step of one stage -> accuracy on the stage's own validation rows.

    For a set that mixes several stages it is the unweighted mean of their accuracies.
    """
    sources = validated(steps.columns)
    names = [sources[stage] for stage in steps["stage"].unique() if stage in sources] or list(sources.values())
    if not names:
        return {}
    mean = steps.select("step", accuracy=pl.mean_horizontal(names)).drop_nulls().sort("step")
    return dict(mean.iter_rows())


def weights(checkpoints: Path, step: int) -> Path:
    """The folder of a step's loadable weights, as saved by verl's supervised or its GRPO trainer."""
    folder = checkpoints / f"global_step_{step}"
    return (folder / "huggingface") if (folder / "huggingface").is_dir() else folder / "actor" / "huggingface"


def keep_best(steps: pl.DataFrame, checkpoints: Path, aside: Path) -> None:
    """Link the weights of the best step so far to a folder in `aside`, and remove those of the previous best.

    To be called after every step, while verl still keeps the step's checkpoint.
    """
    ranked = _ranked(steps)
    if not ranked or not _saved(weights(checkpoints, ranked[0])):
        return
    target = aside / f"step_{ranked[0]}"
    if not target.is_dir():
        temporary = aside / f".step_{ranked[0]}"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(weights(checkpoints, ranked[0]), temporary, copy_function=link)
        temporary.replace(target)
    for folder in aside.iterdir():
        if folder != target:
            shutil.rmtree(folder)


def choose(select: str, steps: pl.DataFrame, last: int, checkpoints: Path, aside: Path) -> Choice:
    """The selected checkpoint of a stage that reached its `last` step; the earliest of equally good ones.

    Raises:
        TrainerError: `select` is "best" and no validated step still has its weights.
    """
    found = accuracies(steps)
    if select == "last":
        return Choice(last, found.get(last), weights(checkpoints, last))
    for step in _ranked(steps):
        for folder in (aside / f"step_{step}", weights(checkpoints, step)):
            if _saved(folder):
                return Choice(step, found[step], folder)
    raise TrainerError(
        f"No step under {checkpoints} has both its weights and its validation (a kill between the two loses one); "
        f"set select: last for this stage."
    )


def _ranked(steps: pl.DataFrame) -> list[int]:
    """Validated steps, best first, without step 0, the validation before the first."""
    found = {step: accuracy for step, accuracy in accuracies(steps).items() if step}
    return sorted(found, key=lambda step: (-found[step], step))


def _saved(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def link(source: str, target: str) -> str:
    """Hard-link a file, or copy it to another file system; a `copy_function` for `shutil.copytree`."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
