"""What lies in a staged folder: the records that the staging hands to whoever writes the card.

A staged folder is exactly what the repo on the Hub will hold. Nothing heavy is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.recipe import Recipe
from capcurriculum.run import Run


@dataclass(frozen=True, slots=True)
class StagedSet:
    """A set of an order, which is one configuration of a repo.

    `config` is its name there: `default` in a repo of its own, else `name`. `data_files` maps a split to the pattern of
    its files in the repo, `files` to the staged Parquet shards; a split without rows is in neither.
    """

    name: str
    config: str
    data_files: Mapping[str, str]
    files: Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class Staged:
    """One repo of a data set, complete but for its card.

    `recipe` is the redacted one that is published; `order` is "" for the plain stages; `siblings` are the ids of all
    repos of the order, this one included, as they are trained one after the other.
    """

    run: Run
    recipe: Recipe
    folder: Path
    repo_id: str
    order: str
    sets: tuple[StagedSet, ...]
    siblings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StagedModel:
    """One repo of a model, complete but for its card.

    `stage` is what it was last trained on, "" where unknown; `datasets` are the ids under which its training sets were
    published, where that is known; `recipe` is the redacted one of `run`.
    """

    folder: Path
    repo_id: str
    run: Run | None
    stage: str
    datasets: tuple[str, ...] = ()
    recipe: Recipe | None = None
