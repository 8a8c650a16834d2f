"""Add a stage to a recipe's file as text, so that its comments and its order stay."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capcurriculum import recipe
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.recipe import Recipe, extends, yaml_file
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.recipe.yaml_file import YamlProblem
from capcurriculum.rows import Stage
from capcurriculum.tables import write_atomically
from curricula.first_recipe import write
from datagen.micro import PREFIX

#: Stages stand before this section; where there is none, at the end.
_BEFORE = "rollouts:"


def only_recipe(folder: Path) -> Path:
    """The one recipe that lies in a folder.

    Raises:
        RunError: there is none, or there are several.
    """
    files = sorted(path for ending in ("*.yaml", "*.yml") for path in folder.glob(ending))
    found = [path for path in files if _is_recipe(path)]
    if len(found) == 1:
        return found[0]
    there = f"several recipes: {', '.join(path.name for path in found[:6])}" if found else "no recipe"
    raise RunError(f"This folder holds {there}; name the one that gets the stage with --recipe FILE.")


def _is_recipe(path: Path) -> bool:
    try:
        recipe.load(path)
    except RecipeError:
        return False
    return True


def add(
    path: Path, stage: Stage, sections: Sequence[SourceSection], teacher: str, solvers: Sequence[str]
) -> tuple[str, Recipe]:
    """The text of a recipe with one more stage, and what it says; nothing is written.

    Teacher and solvers are entries of its `models`, of which captioned images need some: by default those that are
    called `teacher`, and whose pass rates are measured.

    Raises:
        RecipeError: the file is no recipe, would be none with the stage, or cannot be extended as text.
        RunError: it has the stage, lacks the models, or was built without the stage.
    """
    before = recipe.load(path)
    if str(stage) in before.stages:
        raise RunError(f"{path} has a {stage} stage; add a source to it by hand (docs/recipes.md).")
    names = _models(before, path, teacher, solvers) if stage is Stage.PERCEPTION else ("", ())
    micro = all(model.model.startswith(PREFIX) for model in before.models.values())
    block = write.stage(stage, sections, *names, micro=micro)
    old = Path(path).read_bytes().decode("utf-8")
    text = _inserted(old, block)
    added = _parsed(block)
    if _parsed(text) != _parsed(old) | added:
        raise RecipeError(
            f"{path} is written in a way that takes no further lines; begin a line with each of its keys, or add the "
            f"{stage} stage by hand (docs/recipes.md)."
        )
    whole: Any = extends.read(path)
    wanted = recipe.parse(extends.merged(whole, added), str(path))
    return text, wanted


def _models(before: Recipe, path: Path, teacher: str, solvers: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The teacher's and the solvers' entries in `models`."""
    chosen = teacher or "teacher", tuple(solvers) or (before.rollouts.model,)
    if missing := [name for name in (chosen[0], *chosen[1]) if name not in before.models]:
        raise RunError(
            f"{path} has no model called {missing[0]}, but {', '.join(before.models)}; say with --teacher and --solver "
            "which of these write and answer, or add one under `models`."
        )
    return chosen


def _inserted(text: str, block: str) -> str:
    """The text with the block before its section `rollouts` and the comments above that, else at its end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    at = next((place for place, line in enumerate(lines) if line.startswith(_BEFORE)), len(lines))
    while 0 < at < len(lines) and lines[at - 1].startswith("#"):
        at -= 1
    spaced = [*block.splitlines(), ""] if at < len(lines) else ["", *block.splitlines()]
    if 0 < at < len(lines) and lines[at - 1].strip():
        spaced = ["", *spaced]
    return newline.join([*lines[:at], *spaced, *lines[at:]]) + newline


def _parsed(text: str) -> dict[Any, Any]:
    try:
        said = yaml_file.parsed(text)
    except YamlProblem:
        return {}
    return said if isinstance(said, dict) else {}


def replace(path: Path, text: str) -> None:
    """Write the recipe's file; a link to it stays one."""
    write_atomically(Path(os.path.realpath(path)), text.encode())
