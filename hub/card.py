"""`capcurriculum card`: the card of a data set or a model as it would be published, without a request to the Hub.

Nothing is copied: the staged records point at the run's own Parquet files.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from capcurriculum import run as runs
from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from cards.dataset.card import render
from cards.model.card import render as render_model
from cards.model.training import done
from cards.staged import Staged, StagedModel, StagedSet
from curricula import make
from hub.publish import names, redact
from hub.publish.model import origin
from hub.publish.stage import split_files

#: Placeholder for the user or organization that publishes.
NAMESPACE = "NAMESPACE"


def card(named: str, stages: Sequence[str] = (), order: str = "", *, of_model: bool, out: Path | None = None) -> str:
    """The Markdown card of a run's sets or model; with `out` it is written there and the returned text names the file.

    Raises:
        CapCurriculumError: the run, set or checkpoint does not exist, or `out` cannot be written.
    """
    if of_model and order:
        raise RunError("--order names sets of rows; a model has none, so leave it out.")
    if out is not None and out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; give --out the name of a folder.")
    with tempfile.TemporaryDirectory(prefix="capcurriculum-card-") as name:
        folder = Path(name)
        if of_model:
            written = render_model(_model(named, stages, folder))
        else:
            if len(stages) > len(set(stages)):
                raise RunError("--stage names a set twice.")
            run, recipe = runs.named(named), runs.recipe_of(named)
            make.check_belongs(run, recipe, run.path / "curricula" / order if order else run.stages)
            written = render(staged(run, order, stages, folder, recipe))
        if out is None:
            return (folder / "README.md").read_text(encoding="utf-8")
        try:
            for path in written:
                target = out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        except OSError as error:
            raise RunError(f"The card cannot be written to {out} ({error.strerror}); give another --out.") from error
    return f"The card is {out / 'README.md'}, its images beside it."


def staged(run: Run, order: str, wanted: Sequence[str], folder: Path, recipe: Recipe | None = None) -> Staged:
    """The sets `wanted` of an order (none: all) as one repo whose card goes into `folder`; `recipe`: default the run's.

    One set stands in a repo of its own beside those of the others, several share one repo.

    Raises:
        RunError: the run has no such order, or the order no such set.
        RecipeError: the Hub would refuse a name.
    """
    sets = dict(make.sets(run, order))
    if missing := [name for name in wanted if name not in sets]:
        raise RunError(f"The run {run.path} has no set {', '.join(missing)}; it has {', '.join(sets)}.")
    recipe, taken = recipe or run.recipe(), list(wanted) or list(sets)
    alone = len(taken) == 1
    repos = names.places(recipe, NAMESPACE, list(sets) if alone else taken, not alone)
    here = next(place for place in repos if taken[0] in dict(place.sets))
    found = tuple(_set(name, config, sets[name], alone) for name, config in here.sets)
    siblings = tuple(place.repo_id for place in repos)
    return Staged(run, redact.published(recipe), folder, here.repo_id, order, found, siblings)


def _set(name: str, config: str, folder: Path, alone: bool) -> StagedSet:
    files = split_files(folder)
    checksums.check((path for paths in files.values() for path in paths), pictures=False)
    below = "data" if alone else config
    return StagedSet(name, config, {split: f"{below}/{split}-*.parquet" for split in files}, files)


def _model(named: str, stages: Sequence[str], folder: Path) -> StagedModel:
    """A checkpoint's folder, the named stage of a run, or its last finished one."""
    if len(stages) > 1:
        raise RunError("A model card is of one stage; give --stage once.")
    wanted = stages[0] if stages else ""
    if (Path(named) / "config.json").is_file():
        checkpoint = Path(named)
        run, stage = origin(checkpoint.resolve())
    else:
        run = runs.named(named)
        finished = done(run, wanted)
        if finished is None:
            raise RunError(
                f"{run.path} has no finished stage{f' {wanted}' if wanted else ''}; train it first, or name a "
                "checkpoint's folder."
            )
        checkpoint, stage = finished, finished.parent.name
    for path in [checkpoint / "config.json", *checkpoint.glob("*.safetensors")]:  # what the card reads of it
        if path.is_file():
            os.symlink(path.resolve(), folder / path.name)
    recipe = redact.published(run.recipe()) if run else None
    name = f"{NAMESPACE}/{f'{recipe.name}-{stage}' if recipe and stage else checkpoint.resolve().name}"
    return StagedModel(folder, name, run, stage, (), recipe)
