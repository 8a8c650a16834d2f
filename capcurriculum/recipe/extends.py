"""Read a recipe file, together with the one it extends: `extends: base.yaml` takes all of that file's keys.

Mappings are merged key by key, everything else is replaced, so recipes over one run say only what they mean. A recipe
may be somebody else's, so it can name only YAML files in its own folder or below. What a link to a recipe extends is
looked for beside the link: so the recipes of `micro/` are those of `paper/` over another base.
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError
from capcurriculum.recipe import own_prompts, yaml_file
from capcurriculum.recipe.yaml_file import YamlProblem

_KEY = "extends"
#: Files that extend one another, the first among them.
MOST_FILES = 16
_DATA = frozenset({".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow"})


def read(path: Path) -> object:
    """What the file and those it extends say; whether it is a recipe is for the caller to check.

    Raises:
        RecipeError: a file is missing or not YAML, names one outside of its folder, or they extend one another.
    """
    return _read(path, ())


def _read(path: Path, below: tuple[Path, ...]) -> object:
    if (place := _place(path)) in below:
        raise RecipeError(f"The recipe {path} extends itself by way of {below[-1].name}; leave out one `extends`.")
    if len(below) == MOST_FILES:
        raise RecipeError(f"More than {MOST_FILES} recipes extend one another, {path} among them; merge some of them.")
    data = own_prompts.filled(path, _load(path))
    if not isinstance(data, dict) or _KEY not in data:
        return data
    base = _read(_base(path, data[_KEY]), (*below, place))
    if not isinstance(base, dict):
        raise RecipeError(f"The recipe {path} extends {data[_KEY]}, which is no mapping of keys.")
    return merged(base, {key: value for key, value in data.items() if key != _KEY})


def merged(base: dict[Any, Any], changes: dict[Any, Any]) -> dict[Any, Any]:
    """`base` with `changes`: a mapping in both is merged, any other value is that of `changes`."""
    both = dict(base)
    for key, value in changes.items():
        before = both.get(key)
        both[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both


def _place(path: Path) -> Path:
    """The file itself, links followed; `Path.resolve` raises where one leads to itself."""
    return Path(os.path.realpath(path))


def _base(path: Path, named: object) -> Path:
    if not isinstance(named, str) or not named.endswith((".yaml", ".yml")) or "\0" in named or len(named) > 1000:
        raise RecipeError(
            f"In the recipe {path}, extends must name one YAML file, such as base.yaml, not {str(named)[:100]!a}."
        )
    base = path.parent / named
    shipped = _place(Path(str(files("curricula"))) / "recipes")
    if not any(_place(base).is_relative_to(folder) for folder in (_place(path.parent), _place(path).parent, shipped)):
        raise RecipeError(f"The recipe {path} extends {named!r}, which lies outside of its folder; copy it there.")
    return base


def _beside(path: Path) -> list[str]:
    """The names of the YAML files in the folder of a path."""
    try:
        return sorted(one.name for one in path.parent.iterdir() if one.suffix in (".yaml", ".yml"))
    except OSError:
        return []


def _load(path: Path) -> object:
    try:
        if path.suffix in _DATA and os.path.isfile(path):
            raise RecipeError(f"{path} holds data; name the recipe, a YAML file with a source that reads it.")
        return yaml_file.read(path)
    except OSError as error:
        near = "" if os.path.exists(path) else meant(path.name, _beside(path), similar=0.8)  # the ending is alike
        raise RecipeError(f"The recipe {path} cannot be read ({error.strerror}){near}; check the path.") from error
    except YamlProblem as problem:
        raise RecipeError(f"The recipe {path} is not valid YAML: {problem}.") from problem
