"""A run's sets as they would be staged for the Hub, for a look at their card before anything is published.

Nothing is copied: the records point at the run's own Parquet files, and the card goes where the user says.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.run import Run
from cards.publish import redact
from cards.publish.staged import Staged, StagedSet
from curricula import make
from curricula.split import SPLITS


def staged(run: Run, order: str, wanted: Iterable[str], folder: Path, repo_id: str = "") -> Staged:
    """The sets `wanted` of an order (none: all), as one repo whose card goes into `folder`.

    Raises:
        RunError: the run has no such order, or the order no such set.
    """
    sets = dict(make.sets(run, order))
    names = list(wanted) or list(sets)
    if missing := [name for name in names if name not in sets]:
        raise RunError(f"The run {run.path} has no set {', '.join(missing)}; it has {', '.join(sets)}.")
    found = [a_set(name, sets[name], alone=len(names) == 1) for name in names]
    recipe = redact.published(run.recipe())
    repo = repo_id or f"NAMESPACE/{recipe.name}-{'-'.join(names) if len(names) == 1 else 'data'}"
    return Staged(run, recipe, folder, repo, order, tuple(found), (repo,))


def a_set(name: str, folder: Path, alone: bool = True) -> StagedSet:
    """The set in a folder as a configuration of a repo of its own, or of one that several share.

    Raises:
        RunError: there are no rows.
    """
    files = {split: tuple(sorted(folder.glob(f"{split}-*.parquet"))) for split in SPLITS}
    files = {split: paths for split, paths in files.items() if paths}
    if not files:
        raise RunError(f"The set {name} in {folder} has no rows; build more of them.")
    prefix = "data" if alone else name
    patterns = {split: f"{prefix}/{split}-*.parquet" for split in files}
    return StagedSet(name, "default" if alone else name, patterns, files)


def link_checkpoint(checkpoint: Path, folder: Path) -> None:
    """What a model card reads of a checkpoint, as links in `folder`; they are no part of the card."""
    for path in [checkpoint / "config.json", *checkpoint.glob("*.safetensors")]:
        target = folder / path.name
        if path.is_file() and not target.exists():
            os.symlink(path.resolve(), target)
