"""Which sets of rows a training goes through: those of the order its recipe names, made first where they are not there.

One set is one link of the chain. An order with files for each epoch gives a link the files of all of them, which are
read one after the other and so count as that many epochs.
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

#: Orders whose rows lie as they do for a reason, so that a draw of their own each epoch would undo them.
_MEANT: tuple[Kind, ...] = ("difficulty", "capability_x_difficulty", "interleaved")


@dataclass(frozen=True, slots=True)
class LinkSet:
    """What one link reads, and what the recipe says of it; of several `folders` each is one epoch."""

    run: StageRun
    folders: tuple[Path, ...]


def find(recipe: Recipe, settings: TrainingRecipe, display: Display | None) -> list[LinkSet]:
    """The sets in the order in which they are trained; with a `display` an order that is not there is written.

    Raises:
        TrainerError: the run is not built, or has not the order, and there is no display.
        RecipeError: the recipe names a set that the order does not have, or an order that the run cannot have.
    """
    if settings.order is None:
        return _plain(recipe, settings.stages, display)
    found = _of_order(recipe, settings, settings.order, display)
    return _picked(found, settings.stages, f"The order {_name(settings.order)} of the run {recipe.run_dir}")


def shuffling_undoes(order: OrderSection | None) -> bool:
    """Whether rows drawn anew each epoch would no longer be the order that the recipe asks for."""
    return order is None or order.order in _MEANT or order.balance is not None or order.epochs > 1


def section(recipe: Recipe, order: str | OrderSection | None) -> OrderSection | None:
    """The order section that a recipe's word stands for; None if only the run itself knows it."""
    if not isinstance(order, str):
        return order
    known = {one.folder: one for one in recipe.curriculum.orders}
    if order in known:
        return known[order]
    return OrderSection.model_validate({"order": order}) if order in get_args(Kind) else None


def folder_of(run: Run, recipe: Recipe, settings: TrainingRecipe) -> Path:
    """Where the order lies whose sets a training goes through."""
    if settings.order is None:
        return run.stages
    wanted = section(recipe, settings.order)
    return run.path / "curricula" / _name(settings.order) if wanted is None else make.folder_of(run, wanted)


def _belonging(recipe: Recipe, folder: Path, order: OrderSection, display: Display | None) -> None:
    """See that an order's rows are those that the recipe makes of the run, and write them anew where they are not."""
    run = Run(recipe.run_dir)
    if order_file.read(folder) is None or make.belongs(run, recipe, folder):
        return
    if display is None:
        raise TrainerError(
            f"{make.foreign(folder)}. A training writes them anew, and a dry run writes nothing; run `capcurriculum "
            f"build` with this recipe first."
        )
    make.curriculum(recipe, order, display)


def _plain(recipe: Recipe, stages: Sequence[StageRun], display: Display | None) -> list[LinkSet]:
    run = Run(recipe.run_dir)
    _belonging(recipe, run.stages, make.STAGES, display)
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
    """Set name -> its folders, one an epoch."""
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
        there = order_file.read(folder)
        if there is not None:
            _belonging(recipe, folder, OrderSection.model_validate(there["order"]), display)
    plain = wanted is not None and make.folder_of(run, wanted) == run.stages
    folders: dict[str, tuple[Path, ...]] = {}
    for name, folder in make.sets(run, "" if plain else _name(order)):
        whole = name.partition("/")[0]
        folders[whole] = (*folders.get(whole, ()), folder)
    return folders


def _picked(found: dict[str, tuple[Path, ...]], stages: Sequence[StageRun], what: str) -> list[LinkSet]:
    if odd := [one.stage for one in stages if one.stage not in found]:
        raise RecipeError(f"{what} has no set {odd[0]}; training.stages may name {', '.join(found)}.")
    runs = stages or [StageRun(stage=name) for name in found]
    return [LinkSet(one, found[one.stage]) for one in runs]


def _name(order: str | OrderSection) -> str:
    return order if isinstance(order, str) else order.folder
