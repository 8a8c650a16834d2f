"""Lay out checked sets as a run: shards where a build would have put them, an `order.json`, and a recipe to train by.

Everything is put together beside the run's place and then takes it, so a kill leaves the old folder or the new one.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capcurriculum import prompts, recipe
from capcurriculum.errors import HubError, RecipeError
from capcurriculum.files.unfinished import exchange
from capcurriculum.recipe import Recipe, yaml_file
from capcurriculum.rows import SCHEMA
from capcurriculum.tables import write_atomically
from curricula import order_file
from hub.download.fetch import Snapshot
from hub.download.sets import Brought, SaidSet
from hub.publish import redact
from hub.publish.stage import PUBLISHED, RECIPE, sha256

#: What a downloaded run holds beside the files of a built one: which repos at which commits, and their digests.
ORIGIN = "downloaded.json"
#: Trained where the published recipe trains nothing; the released models' first.
BACKBONE = "qwen3_vl_8b"


def name_of(target: Path) -> str:
    """The recipe's name that a run folder asks for.

    Raises:
        HubError: it cannot be one.
    """
    name = target.absolute().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise HubError(f"{name!r} cannot be the name of a run (letters, digits, . _ -); give another --to.")
    return name


def replaceable(target: Path) -> None:
    """Refuse to write over what was not downloaded, or is being trained with.

    Raises:
        HubError: with the mend.
    """
    if not target.exists():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / ORIGIN).is_file()):
        raise HubError(f"{target} exists and was not downloaded; give another --to.")
    if (target / "training" / "plan.json").is_file():
        raise HubError(f"A training has begun in {target}; give another --to, or move it away.")


def assemble(target: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` put a run together beside `target`, and put it there."""
    temporary, old = (target.with_name(f".tmp-{kind}-{target.name}") for kind in ("download", "old"))
    for folder in (temporary, old):
        shutil.rmtree(folder, ignore_errors=True)
    made = temporary / target.name  # a run's folder bears its recipe's name
    made.mkdir(parents=True)
    try:
        fill(made)
        exchange(made, target, old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put(folder: Path, brought: Sequence[Brought], wanted: Sequence[str]) -> list[str]:
    """Put the wanted sets (none: all) of repos of one publication into `folder`; returns their names in order.

    Raises:
        HubError: the repos are of different publications, or have no such set.
    """
    first = brought[0]
    for other in brought[1:]:
        if any(first.about.get(key) != other.about.get(key) for key in ("order", "seed", "rows")):
            raise HubError(
                f"{first.snapshot.repo_id} and {other.snapshot.repo_id} hold sets of different builds; give a "
                "--revision that all have, such as a tag, or publish them again."
            )
    there = {one.name: (repo, one) for repo in brought for one in repo.said.sets}
    if missing := sorted(set(wanted) - set(there)):
        raise HubError(f"There is no set {', '.join(missing)}; there are {', '.join(there)}.")
    described = {str(one.get("name")): one for one in first.about["sets"]}
    chosen = [name for name in described if name in there and (not wanted or name in wanted)]
    if not chosen:
        raise HubError(f"{first.snapshot.repo_id} describes its sets in a way that this version cannot read.")
    order = first.said.order
    below = folder / "curricula" / order if order else folder / "stages"
    for name in chosen:
        repo, one = there[name]
        described[name] = described[name] | {"files": _copy(repo, one, below / name)}
    about = {key: value for key, value in first.about.items() if key != PUBLISHED}
    about |= {"sets": [described[name] for name in chosen]}
    write_atomically(below / order_file.NAME, _json(about))
    if order_file.read(below) is None:
        raise HubError(f"{first.snapshot.repo_id} describes its sets in a way that this version cannot read.")
    return chosen


def _copy(repo: Brought, one: SaidSet, folder: Path) -> dict[str, int]:
    folder.mkdir(parents=True)
    for name, path in repo.shards(one):
        _link(path.resolve(), folder / name)
    found = {path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))}
    if not found:
        raise HubError(f"{repo.snapshot.repo_id} has no shards of its set {one.name}.")
    return found


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # the cache is on another disk
        shutil.copyfile(source, target)


def recipe_of(snapshot: Snapshot, target: Path, stages: Sequence[str], order: str) -> Recipe:
    """The published recipe, made that of the run in `target`: it trains the stages that are there.

    Raises:
        HubError: there is none that this version understands.
    """
    path = snapshot.file(RECIPE)
    if path is None:
        raise HubError(f"{snapshot.repo_id} has no {RECIPE}; publish it again.")
    try:
        # Nothing that it could extend, run or send anything to is taken over, whoever wrote it.
        found = redact.published(recipe.parse(yaml_file.read(path), RECIPE))
    except (RecipeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise HubError(f"The recipe of {snapshot.repo_id} is not one of this version ({reason}).") from error
    return for_run(found, target, stages, order)


def for_run(found: Recipe, target: Path, stages: Sequence[str], order: str = "") -> Recipe:
    """A recipe under the name and place of a run, whose training goes through the sets that are there.

    With `stages` these are its plain ones; else they are those of the order that was published.
    """
    data = found.model_dump(mode="json")
    data |= {"name": name_of(target), "runs": str(target.absolute().parent)}
    training = data.get("training") or {"backbone": BACKBONE}
    own = {one["stage"]: one for one in training.get("stages") or ()}
    chosen = [own.get(stage, {"stage": stage}) for stage in stages]
    data["training"] = training | ({"stages": [], "order": order} if order else {"stages": chosen, "order": None})
    return recipe.parse(data, "of the downloaded sets")


def describe(folder: Path, wanted: Recipe, origin: Sequence[Mapping[str, Any]]) -> None:
    """Write the recipe, what the run was made with, and where its files came from."""
    from capcurriculum import __version__

    facts = {"capcurriculum": __version__, "schema": SCHEMA, "seed": wanted.seed}
    facts |= {"prompts": {name: prompts.digest(name) for name in prompts.names()}}
    if not (folder / "run.json").is_file():
        write_atomically(folder / "run.json", _json(facts))
    write_atomically(folder / "recipe.yaml", recipe.dump(wanted).encode())
    write_atomically(folder / ORIGIN, _json({"repos": list(origin)}))


def origin_of(snapshot: Snapshot, files: Sequence[str]) -> dict[str, Any]:
    """A repo as `downloaded.json` lists it."""
    found = {name: sha256(path) for name in files if (path := snapshot.file(name))}
    return {"repo": snapshot.repo_id, "commit": snapshot.oid, "files": found}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
