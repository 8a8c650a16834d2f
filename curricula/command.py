"""`capcurriculum curriculum`: an order of a run's rows, named or described by options."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capcurriculum import run
from capcurriculum.errors import RecipeError, faults
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from curricula import make


def curriculum(
    named: str,
    order: str,
    *,
    name: str | None = None,
    stages: str | None = None,
    reverse: bool = False,
    by: str | None = None,
    proportions: str | None = None,
    replay: float | None = None,
    balance: str | None = None,
    epochs: int | None = None,
) -> Path:
    """Write an order of a run's rows; returns its folder. The options are those of `capcurriculum curriculum`.

    Raises:
        CapCurriculumError: with one sentence; what the run had before stays.
    """
    _, wanted = run.to_change(named)
    given = {
        "stages": stages and _stages(stages, wanted),
        "reverse": reverse,
        "by": by,
        "proportions": proportions and _proportions(proportions),
        "replay": replay,
        "balance": balance and _balance(balance),
        "epochs": epochs,
        "name": name,
    }
    section = _order(wanted, order, {key: value for key, value in given.items() if value})
    return make.curriculum(wanted, section, Display())


def _order(wanted: Recipe, order: str, given: dict[str, Any]) -> OrderSection:
    known = {one.folder: one for one in wanted.curriculum.orders}
    if order in known:
        if given:
            raise RecipeError(f"The recipe says how the order {order} is made; leave out {', '.join(given)}.")
        return known[order]
    try:
        return OrderSection.model_validate({"order": order} | given)
    except ValidationError as error:
        raise RecipeError(f"The order is not right: {faults(error, 'order')}.") from error


def _stages(words: str, wanted: Recipe) -> list[str]:
    """Names as they are, and numbers of perception, text, visual and then the recipe's capabilities as written."""
    names = {str(number): name for number, name in enumerate((*map(str, Stage), *wanted.capabilities), 1)}
    stages = [names.get(word, word) for word in words.split("-")]
    if unknown := [stage for stage in stages if stage not in wanted.taught]:
        raise RecipeError(f"There is no stage {unknown[0]}; --stages takes some of {', '.join(wanted.taught)}.")
    return stages


def _proportions(text: str) -> dict[str, Any]:
    pairs = [part.rpartition("=") for part in text.split(",")]
    return {name: weight for name, _, weight in pairs}


def _balance(text: str) -> dict[str, Any]:
    by, _, batch = text.partition(":")
    return {"by": by, "batch": batch}
