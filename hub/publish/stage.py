"""Put everything that a repo will hold into a folder: links to the run's shards, and the files that explain them.

Shards never change, so they are linked and never copied through memory. The same run gives the same folder, byte for
byte, which is why publishing it twice makes no second commit.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capcurriculum import recipe
from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.ledger import funnel
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from cards.staged import Staged, StagedSet
from curricula import order_file
from curricula.make import sets
from curricula.split import SPLITS
from hub.publish import names, redact

FOLDER = "publish"
README, RECIPE, FUNNEL = "README.md", "recipe.yaml", "funnel.json"
#: The key of `order.json` that says what was published; raise when a reader would misunderstand it.
PUBLISHED, FORMAT = "published", 1

Card = Callable[[Staged], Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Facts:
    """A file as readers check it."""

    sha256: str
    bytes: int
    rows: int


def stage(
    run: Run,
    order: str = "",
    namespace: str = "you",
    one_repo: bool = False,
    card: Card | None = None,
    own: Recipe | None = None,
) -> list[Staged]:
    """Stage an order's sets below `<run>/publish`, one folder a repo, in the order they are trained.

    `card` writes README.md and its pictures into each folder (None: no card). `own` is the run's recipe where a newer
    one than the run keeps says what its sets are called. Nothing is asked of the Hub.

    Raises:
        RunError: the run has no such order, or its files are not those it says.
        RecipeError: a name cannot be one of the Hub.
    """
    own = own or run.recipe()
    found = dict(sets(run, order))
    about = _order(run, order)
    shown = redact.published(own)
    counts = [asdict(line) for line in funnel.lines(run)]
    where = names.places(own, namespace, list(found), one_repo)
    siblings = tuple(place.repo_id for place in where)
    shutil.rmtree(run.path / FOLDER, ignore_errors=True)
    staged = []
    for place in where:
        folder = run.path / FOLDER / place.repo_id.partition("/")[2]
        folder.mkdir(parents=True)
        made = tuple(_set(name, config, found[name], folder, one_repo) for name, config in place.sets)
        staged.append(Staged(run, shown, folder, place.repo_id, order, made, siblings))
        _write(folder / order_file.NAME, about | {PUBLISHED: _published(staged[-1])})
        _write(folder / FUNNEL, counts)
        (folder / RECIPE).write_text(recipe.dump(shown), encoding="utf-8")
        if card:
            card(staged[-1])
    return staged


def _order(run: Run, order: str) -> dict[str, Any]:
    found = order_file.read(run.path / "curricula" / order if order else run.stages)
    if found is None:
        raise RunError(f"The stage files of {run.path} are not complete; run `capcurriculum build` on it again.")
    return found


def _set(name: str, config: str, source: Path, folder: Path, one_repo: bool) -> StagedSet:
    """Link a set's shards into the folder of its repo."""
    below = config if one_repo else "data"
    (folder / below).mkdir()
    files: dict[str, tuple[Path, ...]] = {}
    for split in SPLITS:
        shards = sorted(source.glob(f"{split}-*.parquet"))
        if shards:
            checksums.check(shards)
            files[split] = tuple(_link(shard, folder / below / shard.name) for shard in shards)
    if not files:
        raise RunError(f"{source} holds no Parquet files; run `capcurriculum build` again.")
    return StagedSet(name, config, {split: f"{below}/{split}-*.parquet" for split in files}, files)


def _link(source: Path, target: Path) -> Path:
    try:
        os.link(source, target)
    except OSError:  # this file system has no hard links
        shutil.copyfile(source, target)
    return target


def _published(one: Staged) -> dict[str, Any]:
    """What a reader needs to find all of it, and to check it."""
    shards = [shard for each in one.sets for paths in each.files.values() for shard in paths]
    return {
        "format": FORMAT,
        "recipe": one.recipe.name,
        "order": one.order,
        "sets": [{"name": e.name, "config": e.config, "data_files": dict(e.data_files)} for e in one.sets],
        "repos": [name.partition("/")[2] for name in one.siblings],
        "files": {shard.relative_to(one.folder).as_posix(): asdict(_facts(shard)) for shard in shards},
    }


def _facts(path: Path) -> Facts:
    return Facts(sha256(path), path.stat().st_size, checksums.rows(path))


def sha256(path: Path) -> str:
    """The digest of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write(path: Path, value: Mapping[str, Any] | Sequence[Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
