"""Which of a run's rows a recipe's training will not use, and which model measured the pass rates.

`train` reports the same for the rows that its preflight leaves. Here the sets are taken as written, and no checkpoint
is needed on this machine.
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
from training.refresh import wanted


def of(run: Run, recipe: Recipe) -> list[str]:
    """Sentences; none if the recipe trains nothing or the run has no set yet.

    Errors become a sentence too, since only a training has to refuse them.
    """
    settings = recipe.training
    if settings is None or not any(run.stages.glob("*/train-*.parquet")):
        return []
    moved = recipe.model_copy(update={"runs": str(run.path.parent), "name": run.path.name})
    sentences: list[str] = []
    try:
        if measured := origin.sentence(moved, run, settings.model or backbone(settings.backbone).model):
            sentences.append(f"training: {measured}.")
        for sentence in _unused(run, moved, settings):
            sentences.append(sentence)  # one by one, so that an error does not lose those before it
    except CapCurriculumError as error:
        sentences.append(f"training: rows that it leaves out are not known: {error}")
    return sentences


def _unused(run: Run, recipe: Recipe, settings: TrainingRecipe) -> Iterator[str]:
    sets = stage_sets.find(recipe, settings, None)
    anew = wanted.stages(recipe, settings, sets, settings.model or backbone(settings.backbone).model)
    for found in sets:
        if found.run.stage in anew:
            continue  # which rows it will have is not known before
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
