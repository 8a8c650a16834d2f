"""What a training started from: its name for people and for the Hub, and its licence as far as it is known."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath

import yaml
from pydantic import BaseModel, ConfigDict

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from cards.licences import UNKNOWN
from training.knobs import backbone

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MICRO = "micro:"


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    license: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Base:
    """The first parent of a chain. `hub` is its id on the Hub, "" where it is not known to be there."""

    name: str
    hub: str
    license: str
    evidence: str

    @property
    def micro(self) -> bool:
        """Whether it is one of the package's own small models."""
        return self.name.startswith(MICRO)


@cache
def _known() -> dict[str, _Known]:
    data = yaml.safe_load((files("cards") / "models.yaml").read_text(encoding="utf-8"))
    return {name: _Known.model_validate(values) for name, values in data.items()}


def base(recipe: Recipe | None, parent: str) -> Base | None:
    """What a chain started from, by the folder that its plan names as the first `parent`, else by the recipe.

    None where neither tells.
    """
    name = _of_folder(parent) or _of_recipe(recipe)
    if not name:
        return None
    found = _known().get(MICRO if name.startswith(MICRO) else name)
    hub = name if _HUB.fullmatch(name) else ""
    return Base(name, hub, found.license, found.evidence) if found else Base(name, hub, UNKNOWN, "")


def _of_folder(parent: str) -> str:
    """A model of the Hub by its place in the Hub's cache, one of ours by its place in the package, else the folder."""
    parts = PurePath(parent).parts
    for part in parts:
        if part.startswith("models--") and part.count("--") == 2:
            return part.removeprefix("models--").replace("--", "/")
    if parts[-4:-1] == ("datagen", "micro", "checkpoints"):
        return MICRO + parts[-1]
    return parts[-1] if parts else ""


def _of_recipe(recipe: Recipe | None) -> str:
    if recipe is None or recipe.training is None:
        return ""
    try:
        return recipe.training.model or backbone(recipe.training.backbone).model
    except RecipeError:
        return ""
