"""A link of a chain: one stage with its data, knobs and folders."""

from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.training import Selection, StageRun
from training import stage_files, stage_sets
from training.knobs import Knobs
from training.refresh.files import Refreshed


@dataclass(frozen=True, slots=True)
class Link:
    """One stage with all that its run needs; `folder` is absolute.

    `taught` are the set's files; `files`, which the trainer reads, are those or made from them. `refreshed` is what a
    refresh has made of them.
    """

    run: StageRun
    knobs: Knobs
    files: stage_files.StageFiles
    taught: stage_files.StageFiles
    folder: Path
    select: Selection = "last"
    refreshed: Refreshed | None = None

    @property
    def captions(self) -> bool:
        """Whether the stage trains on captions, with the supervised trainer."""
        return self.run.method == "sft"

    @property
    def checkpoints(self) -> Path:
        """The trainer's own checkpoints."""
        return self.folder / "trainer"

    @property
    def best(self) -> Path:
        """The weights of the best validated step."""
        return self.folder / "best"

    @property
    def validation(self) -> Path:
        """verl's dumps of validations, one file per step."""
        return self.folder / "validation"

    @property
    def exported(self) -> Path:
        """The exported checkpoint, the parent of the next stage."""
        return self.folder / "checkpoint"


def passes(knobs: Knobs, found: stage_sets.LinkSet) -> Knobs:
    """The knobs with `epochs` counted in passes over all files of the link."""
    written = len(found.folders)
    if knobs.epochs % written:
        raise RecipeError(
            f"Set {found.run.stage} has files for {written} epochs, of which {knobs.epochs} epochs are no whole number "
            f"of passes; set training.knobs.epochs to a multiple of {written}."
        )
    return knobs.model_copy(update={"epochs": knobs.epochs // written})
