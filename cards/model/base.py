"""What a training started from: its name for people and for the Hub, and its licence as far as it is known."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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


def base(recipe: Recipe | None) -> Base | None:
    """What the recipe's training starts from; None where no recipe or no training tells."""
    if recipe is None or recipe.training is None:
        return None
    name = recipe.training.model
    if not name:
        try:
            name = backbone(recipe.training.backbone).model
        except RecipeError:
            return None
    found = _known().get(MICRO if name.startswith(MICRO) else name)
    hub = name if _HUB.fullmatch(name) else ""
    if found is None:
        return Base(name, hub, UNKNOWN, "nothing that we know")
    return Base(name, hub, found.license, found.evidence)
