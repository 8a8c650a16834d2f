"""Stage the content of each repo in a folder: hard links to the run's shards, and the files that describe them.

The same run gives the same folder byte for byte, so publishing it twice makes no second commit.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.ledger import funnel
from capcurriculum.recipe import Recipe, dump
from capcurriculum.run import Run
from cards.staged import Staged, StagedSet
from curricula import order_file
from curricula.make import sets
from curricula.split import SPLITS
from hub.publish import names, redact

FOLDER = "publish"
README, RECIPE, FUNNEL = "README.md", "recipe.yaml", "funnel.json"
#: The key of `order.json` that describes the publication, and the version of its format.
PUBLISHED, FORMAT = "published", 1

Card = Callable[[Staged], Sequence[Path]]


def stage(
    run: Run, recipe: Recipe, order: str, namespace: str, one_repo: bool, card: Card, environment: str = ""
) -> list[Staged]:
    """Stage an order's sets below `<run>/publish`, a folder for each repo, in the order they are trained.

    `recipe` names the repos; `card` writes README.md and its images into each folder, and names `environment`, the
    package that is published with them. Sends no request.

    Raises:
        RunError: the run has no such order, or a file of it is missing or damaged.
        RecipeError: the Hub would refuse a name.
    """
    found = dict(sets(run, order))
    about = order_file.read(run.path / "curricula" / order if order else run.stages)
    if about is None:
        raise RunError(f"The stage files of {run.path} are not complete; run `capcurriculum build` on it again.")
    shown = redact.published(recipe)
    counts = [asdict(line) for line in funnel.lines(run)]
    where = names.places(recipe, namespace, list(found), one_repo)
    siblings = tuple(place.repo_id for place in where)
    shutil.rmtree(run.path / FOLDER, ignore_errors=True)
    staged = []
    for place in where:
        folder = run.path / FOLDER / place.repo_id.partition("/")[2]
        folder.mkdir(parents=True)
        linked = tuple(_set(name, config, found[name], folder, one_repo) for name, config in place.sets)
        staged.append(Staged(run, shown, folder, place.repo_id, order, linked, siblings, environment))
        (folder / order_file.NAME).write_bytes(as_json(about | {PUBLISHED: _published(staged[-1])}))
        (folder / FUNNEL).write_bytes(as_json(counts))
        (folder / RECIPE).write_text(dump(shown), encoding="utf-8")
        card(staged[-1])
    return staged


def split_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Split -> Parquet shards in a set's folder, without splits that have none.

    Raises:
        RunError: there are no shards at all.
    """
    found = {split: tuple(sorted(folder.glob(f"{split}-*.parquet"))) for split in SPLITS}
    if not any(found.values()):
        raise RunError(f"{folder} holds no Parquet files; run `capcurriculum build` again.")
    return {split: shards for split, shards in found.items() if shards}


def _set(name: str, config: str, source: Path, folder: Path, one_repo: bool) -> StagedSet:
    """Link a set's shards into the folder of its repo."""
    below = config if one_repo else "data"
    (folder / below).mkdir()
    files = split_files(source)
    checksums.check(shard for shards in files.values() for shard in shards)
    linked = {
        split: tuple(link_or_copy(shard, folder / below / shard.name) for shard in shards)
        for split, shards in files.items()
    }
    return StagedSet(name, config, {split: f"{below}/{split}-*.parquet" for split in linked}, linked)


def link_or_copy(source: Path, target: Path) -> Path:
    """Hard-link a file, or copy it across file systems; returns `target`."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _published(one: Staged) -> dict[str, Any]:
    """The description of a repo by which a download finds and checks its shards."""
    shards = [shard for each in one.sets for paths in each.files.values() for shard in paths]
    return {
        "format": FORMAT,
        "recipe": one.recipe.name,
        "order": one.order,
        "sets": [{"name": e.name, "config": e.config, "data_files": dict(e.data_files)} for e in one.sets],
        "repos": [name.partition("/")[2] for name in one.siblings],
        "files": {
            shard.relative_to(one.folder).as_posix(): {
                "sha256": sha256(shard),
                "bytes": shard.stat().st_size,
                "rows": checksums.rows(shard),
            }
            for shard in shards
        },
    }


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in chunks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def as_json(value: object) -> bytes:
    """A value as the JSON of a published file, in UTF-8."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
