"""The contents of a staged folder, which are those of the repo on the Hub. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.recipe import Recipe
from capcurriculum.run import Run


@dataclass(frozen=True, slots=True)
class StagedSet:
    """A set of an order, which is one configuration of a repo.

    `config` is the name of the configuration: `default` in a repo of its own, else `name`. `data_files` maps a split to
    the glob pattern of its files in the repo, `files` to the staged Parquet shards; both lack splits without rows.
    """

    name: str
    config: str
    data_files: Mapping[str, str]
    files: Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class Staged:
    """One repo of a data set, complete but for its card.

    `recipe` is the redacted one that is published; `order` is "" for the plain stages; `siblings` are the ids of all
    repos of the order, including this one, in the order of training; `environment` is the package of the environment
    that is published with them, "" for none.
    """

    run: Run
    recipe: Recipe
    folder: Path
    repo_id: str
    order: str
    sets: tuple[StagedSet, ...]
    siblings: tuple[str, ...]
    environment: str = ""


@dataclass(frozen=True, slots=True)
class StagedModel:
    """One repo of a model, complete but for its card.

    `stage` is the last stage of its training ("" if unknown), `datasets` the ids of its published training sets as far
    as known, `recipe` the redacted recipe of `run`.
    """

    folder: Path
    repo_id: str
    run: Run | None
    stage: str
    datasets: tuple[str, ...] = ()
    recipe: Recipe | None = None
