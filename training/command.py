"""`capcurriculum train`: with which backbone, engine and cluster, here, as a Slurm job or for another engine."""

import shlex
from pathlib import Path

from pydantic import ValidationError

from capcurriculum import consent, run
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


def train(
    recipe: str,
    *,
    backbone: str | None = None,
    stage: str | None = None,
    engine: str = "verl",
    ray: str | None = None,
    sbatch: Path | None = None,
    allow: bool = False,
    dry_run: bool = False,
) -> None:
    """Train, show what would be, or write a job or another engine's files. Options are those of `capcurriculum train`.

    Raises:
        CapCurriculumError: with one sentence.
    """
    named = run.recipe_of(recipe)
    if not dry_run:
        if named.training:
            interpreter.locate(named.training)  # nobody is asked about a program that is not there
        parts = consent.TRAINING - ({consent.RAY} if ray else set())
        consent.check(recipe, consent.of_recipe(named), parts, allow=allow)
    wanted = _with_ray(chain.with_backbone(named, backbone), ray)
    if engine == "easyr1":
        _easyr1(wanted, chains=not (sbatch or stage), dry_run=dry_run)
    elif sbatch:
        place = Path(recipe)
        words = ["train", str(place.absolute() if place.exists() else wanted.run_dir.absolute())]
        words += ["--backbone", backbone] if backbone else []
        words += ["--stage", stage] if stage else []
        words += ["--allow"] if allow else []
        _sbatch(wanted, words, None if dry_run else sbatch)
    else:
        chain.train(wanted, dry_run=dry_run, stage=stage)


def _with_ray(wanted: Recipe, address: str | None) -> Recipe:
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


def _sbatch(wanted: Recipe, words: list[str], file: Path | None) -> None:
    """Write a job that runs `words`, or print it where there is no file."""
    settings = _training(wanted)
    base = knobs.backbone(settings.backbone)
    chain.check_place(settings, base, sbatch=True)
    name = "-".join(part for part in (wanted.name, settings.name) if part)
    text = slurm.script(settings, name, settings.gpus or base.gpus, interpreter.locate(settings), words, Path.cwd())
    if file is None:
        say(*text.removesuffix("\n").split("\n"))
    else:
        slurm.write(file, text)
        say(f"Send it with: sbatch {shlex.quote(str(file))}")


def _easyr1(wanted: Recipe, *, chains: bool, dry_run: bool) -> None:
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
