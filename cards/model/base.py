"""The base model of a training: its name, its Hub id, and its licence as far as known."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath

import yaml

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.base import Section
from cards.licences import UNKNOWN
from training.knobs import backbone

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MICRO = "micro:"


class _Known(Section):
    license: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Base:
    """The first parent of a chain; `hub` is its Hub id, "" if unknown."""

    name: str
    hub: str
    license: str
    evidence: str

    @property
    def micro(self) -> bool:
        """Whether it is one of the package's micro models."""
        return self.name.startswith(MICRO)


@cache
def _known() -> dict[str, _Known]:
    data = yaml.safe_load((files("cards") / "models.yaml").read_text(encoding="utf-8"))
    return {name: _Known.model_validate(values) for name, values in data.items()}


def base(recipe: Recipe | None, parent: str) -> Base | None:
    """The base model by the folder of the plan's first `parent`, else by the recipe; None if unknown."""
    name = _of_folder(parent) or _of_recipe(recipe)
    if not name:
        return None
    found = _known().get(MICRO if name.startswith(MICRO) else name)
    hub = name if _HUB.fullmatch(name) else ""
    return Base(name, hub, found.license, found.evidence) if found else Base(name, hub, UNKNOWN, "")


def _of_folder(parent: str) -> str:
    """A Hub id for a path in the Hub cache, a micro model for one in the package, else the folder's name."""
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
