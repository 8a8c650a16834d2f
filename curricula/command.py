"""What `capcurriculum curriculum` was asked for, as an order of the recipe."""

import argparse
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capcurriculum import recipe, run
from capcurriculum.errors import RecipeError, RunError, faults
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from curricula import make


def execute(options: argparse.Namespace) -> Path:
    """Write the order; returns its folder.

    Raises:
        CapCurriculumError: with one sentence; what the run had before stays.
    """
    wanted = _recipe(options.run)
    return make.curriculum(wanted, order_of(options, wanted), Display())


def _recipe(named: str) -> Recipe:
    """The recipe file's own words where one is named, so that orders may be added to it; else what the run keeps."""
    found = run.named(named)
    if Path(named).is_file():
        return recipe.load(Path(named))
    wanted = found.recipe()
    folder = found.path.absolute()
    if folder.name != wanted.name:
        raise RunError(f"The run {found.path} was made under the name {wanted.name}; give its folder that name again.")
    return wanted.model_copy(update={"runs": str(folder.parent)})  # it may have been moved since


def order_of(options: argparse.Namespace, wanted: Recipe) -> OrderSection:
    """The order that the options describe.

    Raises:
        RecipeError: there is no such order, or an option does not fit it.
    """
    values = {
        "stages": options.stages and _stages(options.stages, wanted),
        "reverse": options.reverse,
        "by": options.by,
        "proportions": options.proportions and _proportions(options.proportions),
        "replay": options.replay,
        "balance": options.balance and _balance(options.balance),
        "epochs": options.epochs,
        "name": options.name,
    }
    given = {key: value for key, value in values.items() if value}
    known = {order.folder: order for order in wanted.curriculum.orders}
    if options.order in known:
        if given:
            raise RecipeError(f"The recipe says how the order {options.order} is made; leave out {', '.join(given)}.")
        return known[options.order]
    try:
        return OrderSection.model_validate({"order": options.order} | given)
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
