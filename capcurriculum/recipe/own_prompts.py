"""Own prompts of a recipe in files beside it: their texts become part of the recipe, and so of what a run is known by.

A recipe may be somebody else's, so it can name only files in its own folder or below, as `extends` does.
"""

import os
import re
from pathlib import Path
from typing import Any

from capcurriculum.errors import RecipeError
from capcurriculum.prompts.own import MOST

_FILE = re.compile(r"[^\s{}]{1,1000}\.(?:jinja|j2|txt|md)")


def filled(path: Path, data: object) -> object:
    """What a recipe file says, with the text of each prompt in place of the file that it names.

    Raises:
        RecipeError: such a file is missing, too large, no UTF-8, or lies outside of the recipe's folder.
    """
    if not isinstance(data, dict):
        return data
    capabilities = data.get("capabilities")
    sections = [*data.values(), *(capabilities.values() if isinstance(capabilities, dict) else ())]
    for section in (one for one in sections if isinstance(one, dict)):
        _fill(path, section.get("teacher"), "prompt")
        probe = section.get("probe")
        arms = probe.get("prompts") if isinstance(probe, dict) else None
        for arm in list(arms) if isinstance(arms, dict) else ():
            _fill(path, arms, arm)
    return data


def _fill(path: Path, section: Any, key: str) -> None:
    named = section.get(key) if isinstance(section, dict) else None
    if isinstance(named, str) and _FILE.fullmatch(named):
        section[key] = _text(path, named)


def _text(path: Path, named: str) -> str:
    file = path.parent / named
    homes = (Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent)
    if not any(Path(os.path.realpath(file)).is_relative_to(home) for home in homes):
        raise RecipeError(
            f"The recipe {path} names the prompt {named!r}, which lies outside of its folder; copy it there."
        )
    try:
        if not file.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with file.open(encoding="utf-8") as text:
            read = text.read(MOST + 1)
    except OSError as error:
        raise RecipeError(f"The prompt {file} of the recipe {path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"The prompt {file} of the recipe {path} is no UTF-8 text; save it as UTF-8.") from error
    return read
