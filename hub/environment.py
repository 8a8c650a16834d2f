"""`capcurriculum environment`: the package of a run's environment, over the files of the run."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from capcurriculum import __version__
from capcurriculum import run as runs
from capcurriculum.engines.gold_check import SPLITS, checked, described
from capcurriculum.engines.source import Source, Split, StageFiles
from capcurriculum.errors import RunError
from capcurriculum.files.unfinished import exchange, removed_if_it_fails
from capcurriculum.recipe import Recipe
from cards.environment import write
from curricula import make
from hub.publish import names
from hub.publish.stage import split_files


def environment(named: str, out: Path | None = None, order: str = "") -> Path:
    """Write the package of a run's environment over the files of the run, and return its folder.

    Raises:
        CapCurriculumError: there is no such run or order, its files are outdated, a gold answer does not score 1.0, or
            `out` is a folder with other content.
    """
    run, recipe = runs.with_recipe(named)
    make.check_belongs(run, recipe, run.path / "curricula" / order if order else run.stages)
    stages = tuple(_local(name, folder) for name, folder in make.sets(run, order))
    data = Source(name=called(recipe, order), capcurriculum=__version__, stages=stages)
    target = (out or run.path / write.FOLDER).absolute()
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or described(target))):
        raise RunError(f"{target} exists and is no environment; give another --out.")
    checked(data)
    temporary, old = (target.with_name(f".tmp-{kind}-{target.name}") for kind in ("environment", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    with removed_if_it_fails(temporary):
        temporary.mkdir(parents=True)
        write.write(temporary, data)
        exchange(temporary, target, old)
    return target


def called(recipe: Recipe, order: str) -> str:
    """What an environment is called: like its repos, with the order where it is not that of the plain stages."""
    return f"{names.prefix(recipe)}-{order}" if order else names.prefix(recipe)


def _local(name: str, folder: Path) -> StageFiles:
    return StageFiles(name=name, folder=str(folder.resolve()), files=shard_names(split_files(folder)))


def shard_names(files: Mapping[str, Sequence[Path]], below: str = "") -> dict[Split, tuple[str, ...]]:
    """Split -> names of shards, with the folder `below` before them."""
    return {split: tuple(f"{below}{path.name}" for path in files[split]) for split in SPLITS if split in files}
