"""A fork: a run under a changed recipe that takes over what another run was answered to the very same requests.

What people said of questions goes along as well: a review holds for its version of a question, which is a hash of it.
"""

import re
import shutil
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from capcurriculum.files.checked_json import encode
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from datagen.asking import earlier

_ABOUT = "forked.json"


def prepared(wanted: Recipe, name: str) -> Recipe:
    """The recipe of the fork `name` of the run of `wanted`, whose folder then holds that run's replies and reviews.

    A fork that was begun goes on, with the replies that it took over then.

    Raises:
        RunError: there is no run of `wanted`, it is being written, or another run has that name already.
    """
    if not re.fullmatch(recipe.NAME, name) or name == wanted.name:
        raise RunError(
            f"--fork takes a new name of letters, digits, dots, dashes and underscores, at most 64; {name!r} is none."
        )
    made = wanted.model_copy(update={"name": name})
    origin, folder = Run(wanted.run_dir), made.run_dir
    if _origin(folder) == str(origin.path):
        return made
    if not (origin.path / "recipe.yaml").is_file():
        raise RunError(f"There is no run {origin.path} to fork; build the recipe without --fork.")
    if folder.exists():
        raise RunError(f"There is a folder {folder} already; give --fork another name, or move that folder away.")
    draft = folder.with_name(f".{folder.name}.fork")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    replies = earlier.store(origin, draft / earlier.FILE)
    if origin.reviews.shards():
        shutil.copytree(origin.reviews.folder, draft / origin.reviews.folder.name)
    write_atomically(draft / _ABOUT, encode({"from": str(origin.path), "replies": replies}))
    draft.rename(folder)
    return made


def _origin(fork: Path) -> str:
    """The run that a fork was begun from; "" for what is no fork.

    Raises:
        RunError: the note of it is damaged.
    """
    about = fork / _ABOUT
    if not about.is_file():
        return ""
    try:
        return str(json_file.mapping(about).get("from", ""))
    except (OSError, ValueError) as error:
        raise RunError(f"{about} is damaged ({error}); give --fork another name, or move {fork} away.") from error
