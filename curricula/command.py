"""`capcurriculum curriculum`: write an order of a run's rows, given by name or by options."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capcurriculum import run
from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from capcurriculum.validation import faults
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
    take: str | None = None,
) -> Path:
    """Write an order of a run's rows and return its folder; the arguments are those of `capcurriculum curriculum`.

    Raises:
        CapCurriculumError: the order is invalid, or the run cannot be ordered; its earlier orders stay.
    """
    _, wanted = run.to_change(named)
    given = {
        "stages": stages and _stages(stages, wanted),
        "reverse": reverse,
        "by": by,
        "proportions": proportions and dict(part.rpartition("=")[::2] for part in proportions.split(",")),
        "replay": replay,
        "balance": balance and dict(zip(("by", "batch"), balance.partition(":")[::2], strict=True)),
        "epochs": epochs,
        "take": take and _share(take),
        "name": name,
    }
    section = _order(wanted, order, {key: value for key, value in given.items() if value})
    return make.curriculum(wanted, section, Display())


def _share(text: str) -> float:
    """A share as `10%` or `0.1`.

    Raises:
        RecipeError: it is none above 0 and up to 1.
    """
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise RecipeError(f"--take takes a share of the rows, such as 10% or 0.1, and {text!r} is none.")
    return share


def _order(wanted: Recipe, order: str, given: dict[str, Any]) -> OrderSection:
    known = {one.folder: one for one in wanted.curriculum.orders}
    if order in known:
        if given:
            raise RecipeError(f"The recipe defines the order {order}; leave out {', '.join(given)}.")
        return known[order]
    try:
        return OrderSection.model_validate(section := {"order": order} | given)
    except ValidationError as error:
        raise RecipeError(f"The order is not right: {faults(error, OrderSection, section)}.") from error


def _stages(words: str, wanted: Recipe) -> list[str]:
    """Stages from names and numbers joined by `-`; 1 to 3 are perception, text, visual, then the capabilities."""
    names = {str(number): name for number, name in enumerate((*map(str, Stage), *wanted.capabilities), 1)}
    stages = [names.get(word, word) for word in words.split("-")]
    if unknown := [stage for stage in stages if stage not in wanted.taught]:
        known = f"{meant(unknown[0], wanted.taught)}; --stages takes some of {', '.join(wanted.taught)}"
        raise RecipeError(f"There is no stage {unknown[0]}{known}.")
    return stages
