"""The sets of rows a training goes through: those of the order its recipe names, which is written if it is missing.

One set is one link of the chain. An order with separate files per epoch gives a link the files of all epochs, which are
read one after the other and count as that many epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from capcurriculum.errors import RecipeError, RunError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import Kind, OrderSection
from capcurriculum.recipe.training import StageRun, TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, existing
from curricula import make, order_file

#: Orders that a shuffle in each epoch would undo.
_ORDERED: tuple[Kind, ...] = ("difficulty", "capability_x_difficulty", "interleaved")


@dataclass(frozen=True, slots=True)
class LinkSet:
    """What one link reads, and its section of the recipe; each of several `folders` is one epoch."""

    run: StageRun
    folders: tuple[Path, ...]


def find(recipe: Recipe, settings: TrainingRecipe, display: Display | None) -> list[LinkSet]:
    """The sets in training order; given a `display`, a missing order is written.

    Raises:
        TrainerError: the run is not built, or lacks the order and there is no display.
        RecipeError: the recipe names a set that the order does not have, or an order that the run cannot have.
    """
    if settings.order is None:
        return _as_built(recipe, settings.stages, display)
    found = _of_order(recipe, settings, settings.order, display)
    if unknown := [one.stage for one in settings.stages if one.stage not in found]:
        raise RecipeError(
            f"The order {_name(settings.order)} of the run {recipe.run_dir} has no set {unknown[0]}; "
            f"training.stages may name {', '.join(found)}."
        )
    runs = settings.stages or [StageRun(stage=name) for name in found]
    return [LinkSet(one, found[one.stage]) for one in runs]


def shuffling_undoes(order: OrderSection | None) -> bool:
    """Whether shuffling in each epoch would undo the order that the recipe asks for."""
    return order is None or order.order in _ORDERED or order.balance is not None or order.epochs > 1


def section(recipe: Recipe, order: str | OrderSection | None) -> OrderSection | None:
    """The order section that a name in a recipe means; None if only the run knows it."""
    if not isinstance(order, str):
        return order
    known = {one.folder: one for one in recipe.curriculum.orders}
    if order in known:
        return known[order]
    return OrderSection.model_validate({"order": order}) if order in get_args(Kind) else None


def folder_of(run: Run, recipe: Recipe, settings: TrainingRecipe) -> Path:
    """The folder of the order whose sets a training goes through."""
    if settings.order is None:
        return run.stages
    wanted = section(recipe, settings.order)
    return run.path / "curricula" / _name(settings.order) if wanted is None else make.folder_of(run, wanted)


def _refresh(recipe: Recipe, folder: Path, order: OrderSection, display: Display | None) -> None:
    """Rewrite an order whose rows are not those that the recipe now makes of the run."""
    run = Run(recipe.run_dir)
    if order_file.read(folder) is None or make.belongs(run, recipe, folder):
        return
    if display is None:
        raise TrainerError(
            f"{make.foreign(folder)}. A training writes them anew, and a dry run writes nothing; run `capcurriculum "
            f"build` with this recipe first."
        )
    make.curriculum(recipe, order, display)


def _as_built(recipe: Recipe, stages: Sequence[StageRun], display: Display | None) -> list[LinkSet]:
    run = Run(recipe.run_dir)
    _refresh(recipe, run.stages, make.STAGES, display)
    if stages:
        return [LinkSet(one, (run.stages / one.stage,)) for one in stages]
    try:
        found = make.sets(run)
    except RunError as error:
        raise TrainerError(f"The run {run.path} has no stage files; build it first (capcurriculum build).") from error
    return [LinkSet(StageRun(stage=name), (folder,)) for name, folder in found]


def _of_order(
    recipe: Recipe, settings: TrainingRecipe, order: str | OrderSection, display: Display | None
) -> dict[str, tuple[Path, ...]]:
    """Set name -> its folders, one per epoch."""
    run, wanted = existing(recipe.run_dir), section(recipe, order)
    if wanted is not None and order_file.read(make.folder_of(run, wanted)) is None:
        if display is None:
            raise TrainerError(
                f"The run {run.path} has no order {_name(order)} yet; a training writes it first, and a dry run writes "
                f"nothing, so make it with `capcurriculum curriculum` or train."
            )
        make.curriculum(recipe, wanted, display)
    else:
        folder = folder_of(run, recipe, settings)
        record = order_file.read(folder)
        if record is not None:
            _refresh(recipe, folder, OrderSection.model_validate(record["order"]), display)
    plain = wanted is not None and make.folder_of(run, wanted) == run.stages
    folders: dict[str, tuple[Path, ...]] = {}
    for name, folder in make.sets(run, "" if plain else _name(order)):
        whole = name.partition("/")[0]
        folders[whole] = (*folders.get(whole, ()), folder)
    return folders


def _name(order: str | OrderSection) -> str:
    return order if isinstance(order, str) else order.folder
