"""Before which stages of a training pass rates are measured anew, and which recipes cannot have that."""

from collections.abc import Sequence
from pathlib import Path

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.recipe.training import RefreshSection, TrainingRecipe
from capcurriculum.run import Run
from training.knobs import Knobs
from training.preflight import origin
from training.stage_sets import LinkSet


def stages(recipe: Recipe, settings: TrainingRecipe, sets: Sequence[LinkSet], trained: str) -> frozenset[str]:
    """The names of the stages; none if the recipe does not refresh.

    Args:
        recipe: the recipe. settings: its training section. sets: those of the training, in order.
        trained: the model that the first stage starts from, as the recipe or the backbone names it.

    Raises:
        RecipeError: `training.refresh.stages` names a stage that is not there, or one that is trained on captions.
    """
    section = settings.refresh
    if section is None:
        return frozenset()
    names = [found.run.stage for found in sets]
    captioned = {found.run.stage for found in sets if found.run.method == "sft"}
    for name in section.stages:
        if name not in names:
            raise RecipeError(
                f"training.refresh.stages names {name}, which is no stage of this training; its stages are "
                f"{', '.join(names)}."
            )
        if name in captioned:
            raise RecipeError(
                f"Stage {name} is trained on captions, which have no pass rate; take it out of training.refresh.stages."
            )
    if section.stages:
        return frozenset(section.stages)
    same = origin.are_same(origin.measured_by(recipe, Run(recipe.run_dir)), trained)
    return frozenset(names[0 if same is False else 1 :]) - captioned


def check_order(
    section: RefreshSection, stage: str, knobs: Knobs, folders: Sequence[Path], order: OrderSection | None
) -> None:
    """Check that rows ordered anew stay so, and that this undoes nothing that the recipe asks for.

    Args:
        section: the recipe's. stage: the stage's name. knobs: its knobs.
        folders: of its set, one for each epoch. order: the section of the set's order, None if only the run knows it.

    Raises:
        RecipeError: they do not; the sentence names the key.
    """
    if section.order == "as_built":
        return
    mend = "set training.refresh.order to as_built"
    if knobs.shuffle:
        raise RecipeError(
            f"Knob shuffle draws the rows of {stage} anew each epoch and so undoes the order of training.refresh; "
            f"{mend}, or leave shuffle out."
        )
    if len(folders) > 1:
        raise RecipeError(
            f"Set {stage} has files of its own for each epoch, whose order training.refresh would undo; {mend}."
        )
    if order is not None and order.balance is not None:
        raise RecipeError(
            f"The batches of {stage} are balanced by {order.balance.by}, which the order of training.refresh would "
            f"undo; {mend}."
        )
