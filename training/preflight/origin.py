"""Whether the model that is trained is the one that measured the pass rates.

Order and difficulty of a set are those of the measured model. Only names are compared, not weights; for a folder, or an
endpoint's own name for its model, the answer is unknown.
"""

import re
from pathlib import Path

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
#: A snapshot in the Hub's cache, whose path contains the model's id.
_SNAPSHOT = re.compile(r"/models--(.+?)--(.+?)/snapshots/[^/]+$")


def sentence(recipe: Recipe, run: Run, trained: str) -> str:
    """A text, without a full stop, if `trained` is not known to be the measured model; "" if it is.

    The measured model is that of the run's recipe, or of `recipe` if the run has none.
    """
    try:
        measured = measured_by(recipe, run)
    except RecipeError as error:
        return f"which model measured the pass rates is unknown: {str(error).rstrip('.')}"
    same = are_same(measured, trained)
    if same:
        return ""
    text = f"pass rates were measured with {measured}, and {trained} is trained"
    if same is None:
        return f"{text}: whether these are the same weights is unknown; if not, difficulty and order are {measured}'s"
    return f"{text}: difficulty and order are {measured}'s"


def measured_by(recipe: Recipe, run: Run) -> str:
    """The model that measured the pass rates: that of the run's recipe, or of `recipe` if the run has none.

    Raises:
        RecipeError: the run's recipe cannot be read.
    """
    made = run.recipe() if (run.path / "recipe.yaml").is_file() else recipe
    return made.models[made.rollouts.model].model


def are_same(one: str, other: str) -> bool | None:
    """Whether two names (Hub ids, folders, `micro:NAME`) are of one model; None if unknown."""
    first, second = _known(one), _known(other)
    if one == other or first == second != "":
        return True
    if not first or not second or "/" in (first[0], second[0]):
        return None
    return False


def _known(name: str) -> str:
    """A canonical name: a Hub id or `micro:NAME` in lower case, or a folder's absolute path; "" if it is none."""
    if name.startswith("micro:"):
        return name.lower()
    if Path(name).is_dir():
        place = str(Path(name).resolve())
        found = _SNAPSHOT.search(place)
        return f"{found[1]}/{found[2]}".lower() if found else place
    return name.lower() if _HUB_ID.fullmatch(name) else ""
