"""What a recipe's training will not use of a run's rows, and whose pass rates it goes by: known before anything trains.

`train` says the same of the rows as its preflight leaves them; here the sets are taken as they were written, and no
checkpoint need be on this machine.
"""

from collections.abc import Iterator

from capcurriculum.errors import CapCurriculumError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.run import Run
from training import captions, plan, stage_files, stage_sets
from training.knobs import backbone, resolve
from training.preflight import origin
from training.preflight.rows import coverage


def of(run: Run, recipe: Recipe) -> list[str]:
    """Sentences; none where the recipe trains nothing, or the run has no set yet.

    What keeps it from being known is a sentence too: it is for the training to refuse.
    """
    settings = recipe.training
    if settings is None or not any(run.stages.glob("*/train-*.parquet")):
        return []
    there = recipe.model_copy(update={"runs": str(run.path.parent), "name": run.path.name})
    said: list[str] = []
    try:
        if measured := origin.sentence(there, run, settings.model or backbone(settings.backbone).model):
            said.append(f"training: {measured}.")
        for sentence in _unused(run, there, settings):
            said.append(sentence)  # not all at once: an error must not take those before it away
    except CapCurriculumError as error:
        said.append(f"training: rows that it leaves out are not known: {error}")
    return said


def _unused(run: Run, recipe: Recipe, settings: TrainingRecipe) -> Iterator[str]:
    for found in stage_sets.find(recipe, settings, None):
        name, captioned = found.run.stage, found.run.method == "sft"
        knobs, paths = resolve(settings, found.run), stage_files.train_files(found.folders)
        rows = len(captions.by_question(run, paths, name)) if captioned else stage_files.count(paths)
        passes = knobs.epochs if captioned else knobs.epochs // len(found.folders)
        _, steps = plan.total_steps(rows, knobs.batch_size, passes, knobs.max_steps, name)
        text = coverage.unused(
            (rows, knobs.batch_size, steps),
            drawn=captioned or knobs.shuffle,
            epochs=1 if captioned else len(found.folders),
        )
        if text:
            yield f"training, {name}: {text}."
