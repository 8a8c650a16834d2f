"""Names of repos and of the configurations in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.publish import usable

#: Names of the three stages in the released data sets.
KNOWN: Mapping[str, str] = {"perception": "Perception", "text": "TextReasoning", "visual": "VisualReasoning"}
SUFFIX = "-Data"
#: The Hub's limit.
_LONGEST = 96


@dataclass(frozen=True, slots=True)
class Place:
    """A repo and the sets that go into it, each with its configuration's name."""

    repo_id: str
    sets: tuple[tuple[str, str], ...]


def prefix(recipe: Recipe) -> str:
    """The prefix of all repo names of a recipe."""
    return recipe.publish.prefix or recipe.name


def places(recipe: Recipe, namespace: str, sets: Sequence[str], one_repo: bool) -> list[Place]:
    """The repos of the sets, in their order; with `one_repo` a single one.

    Raises:
        RecipeError: the Hub would refuse a name, or two sets have the same.
    """
    first = prefix(recipe)
    if one_repo:
        found = [Place(f"{namespace}/{first}{SUFFIX}", tuple((name, config(name)) for name in sets))]
    else:
        found = [Place(f"{namespace}/{first}-{_word(recipe, one)}{SUFFIX}", ((one, "default"),)) for one in sets]
    names = [place.repo_id for place in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"Two sets would go to {', '.join(twice)}; give them different publish.names in the recipe.")
    for name in (name.partition("/")[2] for name in names):
        if not usable(name) or len(name) > _LONGEST:
            raise RecipeError(f"The Hub takes no repo called {name!r}; set publish.prefix and publish.names.")
    return found


def config(name: str) -> str:
    """The configuration's name of a set."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)


def _word(recipe: Recipe, name: str) -> str:
    words = re.split(r"[^A-Za-z0-9]+", name)
    return recipe.publish.names.get(name) or KNOWN.get(name) or "".join(word[:1].upper() + word[1:] for word in words)
