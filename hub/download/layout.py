"""Lay out checked sets as a run: shards in the places of a build, an `order.json`, and a recipe to train with.

The run is assembled beside its folder and renamed, so a kill leaves the old folder or the new one.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capcurriculum import __version__, prompts, recipe
from capcurriculum.did_you_mean import meant
from capcurriculum.errors import HubError, RecipeError
from capcurriculum.files.unfinished import exchange
from capcurriculum.recipe import Recipe, yaml_file
from capcurriculum.rows import SCHEMA
from capcurriculum.tables import write_atomically
from curricula import order_file
from hub.download.fetch import Snapshot
from hub.download.sets import PublishedRepo, SetEntry
from hub.publish import redact
from hub.publish.stage import PUBLISHED, RECIPE, as_json, link_or_copy, sha256
from hub.trouble import scrubbed

#: The file that marks a downloaded run: its repos with their commits, and the digests of their files.
ORIGIN = "downloaded.json"
#: The backbone where the published recipe has none.
BACKBONE = "qwen3_vl_8b"


def name_of(target: Path) -> str:
    """The recipe's name for a run folder.

    Raises:
        HubError: the folder's name cannot be a recipe's.
    """
    name = target.absolute().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise HubError(f"{name!r} cannot be the name of a run (letters, digits, . _ -); give another --to.")
    return name


def replaceable(target: Path) -> None:
    """Check that `target` may be replaced.

    Raises:
        HubError: it was not downloaded, or a training has begun in it.
    """
    if not target.exists():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / ORIGIN).is_file()):
        raise HubError(f"{target} exists and was not downloaded; give another --to.")
    if (target / "training" / "plan.json").is_file():
        raise HubError(f"A training has begun in {target}; give another --to, or move it away.")


def assemble(target: Path, fill: Callable[[Path], None]) -> None:
    """Replace `target` by a folder that `fill` writes beside it."""
    temporary, old = (target.with_name(f".tmp-{kind}-{target.name}") for kind in ("download", "old"))
    for folder in (temporary, old):
        shutil.rmtree(folder, ignore_errors=True)
    made = temporary / target.name  # a run's folder has its recipe's name
    made.mkdir(parents=True)
    try:
        fill(made)
        exchange(made, target, old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put(folder: Path, repos: Sequence[PublishedRepo], wanted: Sequence[str]) -> list[str]:
    """Link the wanted sets (none: all) of one publication's repos into `folder`; returns their names in order.

    Raises:
        HubError: the repos are of different builds, or have no such set.
    """
    first = repos[0]
    for other in repos[1:]:
        if any(first.about.get(key) != other.about.get(key) for key in ("order", "seed", "rows")):
            raise HubError(
                f"{first.snapshot.repo_id} and {other.snapshot.repo_id} hold sets of different builds; give a "
                "--revision that all have, such as a tag, or publish them again."
            )
    there = {one.name: (repo, one) for repo in repos for one in repo.published.sets}
    if missing := sorted(set(wanted) - set(there)):
        raise HubError(f"There is no set {', '.join(missing)}{meant(missing[0], there)}; there are {', '.join(there)}.")
    described = {str(one.get("name")): one for one in first.about["sets"]}
    chosen = [name for name in described if name in there and (not wanted or name in wanted)]
    order = first.published.order
    below = folder / "curricula" / order if order else folder / "stages"
    for name in chosen:
        repo, one = there[name]
        described[name] = described[name] | {"files": _link(repo, one, below / name)}
    about = {key: value for key, value in first.about.items() if key != PUBLISHED}
    about |= {"sets": [described[name] for name in chosen]}
    if chosen:
        write_atomically(below / order_file.NAME, as_json(about))
    if not chosen or order_file.read(below) is None:
        raise HubError(f"{first.snapshot.repo_id} describes its sets in a way that this version cannot read.")
    return chosen


def _link(repo: PublishedRepo, one: SetEntry, folder: Path) -> dict[str, int]:
    """Link a set's shards into `folder`; returns their names and sizes in bytes."""
    folder.mkdir(parents=True)
    for name, path in repo.shards(one):
        link_or_copy(path.resolve(), folder / name)
    found = {path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))}
    if not found:
        raise HubError(f"{repo.snapshot.repo_id} has no shards of its set {one.name}.")
    return found


def recipe_of(snapshot: Snapshot, target: Path, stages: Sequence[str], order: str) -> Recipe:
    """The published recipe, adapted to the run in `target` and its stages.

    Raises:
        HubError: the repo has no recipe that this version can read.
    """
    path = snapshot.file(RECIPE)
    if path is None:
        raise HubError(f"{snapshot.repo_id} has no {RECIPE}; publish it again.")
    try:
        # Redacted again: a foreign recipe must not extend a file, run a command or name an address.
        found = redact.published(recipe.parse(yaml_file.read(path), RECIPE))
    except (RecipeError, OSError, ValueError) as error:
        reason = scrubbed(error)
        raise HubError(f"The recipe of {snapshot.repo_id} is not one of this version ({reason}).") from error
    return for_run(found, target, stages, order)


def for_run(found: Recipe, target: Path, stages: Sequence[str], order: str = "") -> Recipe:
    """The recipe with the name and folder of a run, training through `stages`, or through the sets of `order`."""
    data = found.model_dump(mode="json")
    data |= {"name": name_of(target), "runs": str(target.absolute().parent)}
    training = data.get("training") or {"backbone": BACKBONE}
    known = {one["stage"]: one for one in training.get("stages") or ()}
    chosen = [known.get(stage, {"stage": stage}) for stage in stages]
    data["training"] = training | ({"stages": [], "order": order} if order else {"stages": chosen, "order": None})
    return recipe.parse(data, "of the downloaded sets")


def describe(folder: Path, wanted: Recipe, origin: Sequence[Mapping[str, Any]]) -> None:
    """Write `recipe.yaml`, `run.json` unless it exists, and `downloaded.json`."""
    facts = {"capcurriculum": __version__, "schema": SCHEMA, "seed": wanted.seed}
    facts |= {"prompts": {name: prompts.digest(name) for name in prompts.names()}}
    if not (folder / "run.json").is_file():
        write_atomically(folder / "run.json", as_json(facts))
    write_atomically(folder / "recipe.yaml", recipe.dump(wanted).encode())
    write_atomically(folder / ORIGIN, as_json({"repos": list(origin)}))


def origin_of(snapshot: Snapshot, files: Sequence[str]) -> dict[str, Any]:
    """The entry of a repo in `downloaded.json`."""
    found = {name: sha256(path) for name in files if (path := snapshot.file(name))}
    return {"repo": snapshot.repo_id, "commit": snapshot.oid, "files": found}
