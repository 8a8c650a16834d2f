"""A run's sets as they would be staged for the Hub, for a look at their card before anything is published.

Nothing is copied: the records point at the run's own Parquet files, and the card goes where the user says.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from cards.staged import Staged, StagedSet
from curricula import make
from curricula.split import SPLITS
from hub.publish import names, redact

#: Stands for the user or organisation that one publishes under.
NAMESPACE = "NAMESPACE"


def staged(run: Run, order: str, wanted: Sequence[str], folder: Path, recipe: Recipe | None = None) -> Staged:
    """The sets `wanted` of an order (none: all) as one repo, whose card goes into `folder`; `recipe` is the run's own.

    One set is told as in a repo of its own beside those of the others, several as in one repo together.

    Raises:
        RunError: the run has no such order, or the order no such set.
        RecipeError: the Hub would not take a name.
    """
    sets = dict(make.sets(run, order))
    if missing := [name for name in wanted if name not in sets]:
        raise RunError(f"The run {run.path} has no set {', '.join(missing)}; it has {', '.join(sets)}.")
    own, taken = recipe or run.recipe(), list(wanted) or list(sets)
    alone = len(taken) == 1
    repos = names.places(own, NAMESPACE, list(sets) if alone else taken, not alone)
    here = next(place for place in repos if taken[0] in dict(place.sets))
    found = tuple(_set(name, config, sets[name], alone) for name, config in here.sets)
    siblings = tuple(place.repo_id for place in repos)
    return Staged(run, redact.published(own), folder, here.repo_id, order, found, siblings)


def _set(name: str, config: str, folder: Path, alone: bool) -> StagedSet:
    files = {split: tuple(sorted(folder.glob(f"{split}-*.parquet"))) for split in SPLITS}
    files = {split: paths for split, paths in files.items() if paths}
    if not files:
        raise RunError(f"The set {name} in {folder} has no rows; build more of them.")
    checksums.check((path for paths in files.values() for path in paths), pictures=False)
    below = "data" if alone else config
    return StagedSet(name, config, {split: f"{below}/{split}-*.parquet" for split in files}, files)


def link_checkpoint(checkpoint: Path, folder: Path) -> None:
    """What a model card reads of a checkpoint, as links in `folder`; they are no part of the card."""
    for path in [checkpoint / "config.json", *checkpoint.glob("*.safetensors")]:
        target = folder / path.name
        if path.is_file() and not target.exists():
            os.symlink(path.resolve(), target)
