"""What sets and their repos are called."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.publish import usable

#: The released data sets' words for the three stages.
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
    """What the names of all repos of a recipe begin with."""
    return recipe.publish.prefix or recipe.name


def places(recipe: Recipe, namespace: str, sets: Sequence[str], one_repo: bool) -> list[Place]:
    """Where the sets go, in their order.

    Raises:
        RecipeError: the Hub would not take a name, or two sets would have the same.
    """
    first = prefix(recipe)
    if one_repo:
        found = [Place(f"{namespace}/{first}{SUFFIX}", tuple((name, config(name)) for name in sets))]
    else:
        found = [
            Place(f"{namespace}/{first}-{_word(recipe, name)}{SUFFIX}", ((name, "default"),)) for name in sets
        ]  # fmt: skip
    names = [place.repo_id for place in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"Two sets would go to {', '.join(twice)}; give them different publish.names in the recipe.")
    for name in (name.partition("/")[2] for name in names):
        if not usable(name) or len(name) > _LONGEST:
            raise RecipeError(f"The Hub takes no repo called {name!r}; set publish.prefix and publish.names.")
    return found


def config(name: str) -> str:
    """A set's name as that of a configuration."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)


def _word(recipe: Recipe, name: str) -> str:
    """What a repo's name says of its set."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    return recipe.publish.names.get(name) or KNOWN.get(name) or "".join(word[:1].upper() + word[1:] for word in words)
