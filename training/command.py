"""What `capcurriculum train` does besides training here: another Ray cluster, a Slurm job, files for EasyR1."""

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


def with_ray(recipe: Recipe, address: str | None) -> Recipe:
    """The recipe with the address of a Ray cluster to train on; unchanged for None.

    Raises:
        RecipeError: it is not an address.
    """
    if address is None or recipe.training is None:
        return recipe
    try:
        training = TrainingRecipe.model_validate(recipe.training.model_dump(exclude_unset=True) | {"ray": address})
    except ValidationError as error:
        raise RecipeError(f"{address!r} is no Ray address; it is auto, host:port or ray://host:port.") from error
    return recipe.model_copy(update={"training": training})


def sbatch(named: str, recipe: Recipe, options: Sequence[str], file: Path | None) -> None:
    """Write a Slurm job that trains what the user `named`, with these options; print it if there is no file.

    Raises:
        CapCurriculumError: the recipe cannot be trained by a job; nothing is written.
    """
    settings = chain.section(recipe)
    base = knobs.backbone(settings.backbone)
    chain.check_place(settings, base, sbatch=True)
    words = ["train", str((Path(named) if Path(named).exists() else recipe.run_dir).absolute()), *options]
    name = "-".join(part for part in (recipe.name, settings.name) if part)
    text = slurm.script(settings, name, settings.gpus or base.gpus, interpreter.locate(settings), words, Path.cwd())
    if file is None:
        say(*text.removesuffix("\n").split("\n"))
    else:
        slurm.write(file, text)
        say(f"Send it with: sbatch {shlex.quote(str(file))}")


def for_easyr1(recipe: Recipe, *, chains: bool, dry_run: bool) -> None:
    """Write the files of a training for EasyR1, or print them; `chains` is false if one stage or a job is asked for.

    Raises:
        CapCurriculumError: EasyR1 cannot train the recipe; nothing is written.
    """
    settings = chain.section(recipe)
    if not chains:
        raise TrainerError("With --engine easyr1 whole chains are written, not run; leave out --sbatch and --stage.")
    easyr1_config.check_backbone(settings, knobs.backbone(settings.backbone))  # before its weights are located
    out = console(stderr=True)
    with Inspection(settings, Display(out), write=not dry_run) as inspection:
        links, _ = chain.ready(recipe, settings, inspection, None, out)
    report.refuse(inspection)
    if dry_run:
        for name, text in easyr1_files.files(links).items():
            say(f"# {name}", *text.split("\n"))
    else:
        folder = easyr1_files.write(links)
        say(f"Run {folder / easyr1_files.SCRIPT} in a checkout of EasyR1 at commit {easyr1.COMMIT}.")
