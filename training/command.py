"""What `capcurriculum train` does beside training here: another cluster, a Slurm job, files for another trainer."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.render.terminal import console, say
from training import chain, easyr1, interpreter, knobs, slurm
from training.easyr1 import config as easyr1_config
from training.easyr1 import files as easyr1_files
from training.preflight import show as report
from training.preflight.inspection import Inspection


def with_ray(wanted: Recipe, address: str | None) -> Recipe:
    """The recipe, with the address of a Ray cluster to train on where one is given.

    Raises:
        RecipeError: it is no address.
    """
    if address is None or wanted.training is None:
        return wanted
    try:
        training = TrainingRecipe.model_validate(wanted.training.model_dump(exclude_unset=True) | {"ray": address})
    except ValidationError as error:
        raise RecipeError(f"{address!r} is no Ray address; it is auto, host:port or ray://host:port.") from error
    return wanted.model_copy(update={"training": training})


def _training(wanted: Recipe) -> TrainingRecipe:
    if wanted.training is None:
        raise TrainerError("The recipe has no training section; add `training: {backbone: micro}` to it.")
    return wanted.training


def sbatch(named: str, wanted: Recipe, options: Sequence[str], file: Path | None) -> None:
    """Write a Slurm job that trains what the user named, with these options; print it where there is no file.

    Raises:
        CapCurriculumError: with one sentence; nothing is written.
    """
    settings = _training(wanted)
    base = knobs.backbone(settings.backbone)
    chain.check_place(settings, base, sbatch=True)
    place = Path(named)
    words = ["train", str(place.absolute() if place.exists() else wanted.run_dir.absolute()), *options]
    name = "-".join(part for part in (wanted.name, settings.name) if part)
    text = slurm.script(settings, name, settings.gpus or base.gpus, interpreter.locate(settings), words, Path.cwd())
    if file is None:
        say(*text.removesuffix("\n").split("\n"))
    else:
        slurm.write(file, text)
        say(f"Send it with: sbatch {shlex.quote(str(file))}")


def for_easyr1(wanted: Recipe, *, chains: bool, dry_run: bool) -> None:
    """Write the files of a training for EasyR1, or print them; `chains` says that no single stage is asked for.

    Raises:
        CapCurriculumError: with one sentence; nothing is written.
    """
    settings = _training(wanted)
    if not chains:
        raise TrainerError("With --engine easyr1 whole chains are written, not run; leave out --sbatch and --stage.")
    base = knobs.backbone(settings.backbone)
    easyr1_config.check_backbone(settings, base)  # before its weights are looked for
    out = console(stderr=True)
    with Inspection(settings, Display(out), write=not dry_run) as inspection:
        links, _ = chain.ready(wanted, settings, inspection, None, out)
    report.refuse(inspection)
    if dry_run:
        for name, text in easyr1_files.files(links).items():
            say(f"# {name}", *text.split("\n"))
    else:
        folder = easyr1_files.write(links)
        say(f"Run {folder / easyr1_files.SCRIPT} in a checkout of EasyR1 at commit {easyr1.COMMIT}.")
