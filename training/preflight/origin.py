"""Whose pass rates a training goes by: those of the model it trains, of another, or of one that cannot be compared.

Order and difficulty of a set are what the measured model found easy. Only names are compared, no weights: a folder and
an endpoint's own word for what it serves can be anything.
"""

import re
from pathlib import Path

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
#: A snapshot in the Hub's cache, whose folder says which model it is of.
_SNAPSHOT = re.compile(r"/models--(.+?)--(.+?)/snapshots/[^/]+$")


def sentence(recipe: Recipe, run: Run, trained: str) -> str:
    """What to say, without a full stop, where `trained` is not known to be what measured; "" where it is.

    The run's own recipe says what measured, and `recipe` where there is none.
    """
    try:
        made = run.recipe() if (run.path / "recipe.yaml").is_file() else recipe
    except RecipeError as error:
        return f"which model measured the pass rates is unknown: {str(error).rstrip('.')}"
    measured = made.models[made.rollouts.model].model
    same = are_same(measured, trained)
    if same:
        return ""
    told = f"pass rates were measured with {measured}, and {trained} is trained"
    if same is None:
        return f"{told}: whether these are the same weights is unknown; if not, difficulty and order are {measured}'s"
    return f"{told}: difficulty and order are {measured}'s"


def are_same(one: str, other: str) -> bool | None:
    """Whether two names (Hub ids, folders, `micro:NAME`) are of one model; None where names do not tell."""
    first, second = _known(one), _known(other)
    if one == other or first == second != "":
        return True
    if not first or not second or "/" in (first[0], second[0]):
        return None
    return False


def _known(name: str) -> str:
    """What a name surely is: a Hub id or `micro:NAME` in small letters, or a folder's absolute path; "" if nothing."""
    if name.startswith("micro:"):
        return name.lower()
    if Path(name).is_dir():
        place = str(Path(name).resolve())
        found = _SNAPSHOT.search(place)
        return f"{found[1]}/{found[2]}".lower() if found else place
    return name.lower() if _HUB_ID.fullmatch(name) else ""
