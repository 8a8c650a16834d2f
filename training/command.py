"""What `capcurriculum train` was asked for: with which backbone, engine and cluster, here or as a Slurm job."""

import argparse
import shlex
from pathlib import Path

from pydantic import ValidationError

from capcurriculum import consent, run
from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.render.terminal import console, say
from training import chain, easyr1, interpreter, slurm
from training.easyr1 import config as easyr1_config
from training.easyr1 import files as easyr1_files
from training.knobs import backbone
from training.preflight import show as report
from training.preflight.inspection import Inspection


def execute(options: argparse.Namespace) -> None:
    """Train, show what would be, or write a job or another engine's files.

    Raises:
        CapCurriculumError: with one sentence.
    """
    named = run.recipe_of(options.recipe)
    if not options.dry_run:
        if named.training:
            interpreter.locate(named.training)  # nobody is asked about a program that is not there
        parts = consent.TRAINING - ({consent.RAY} if options.ray else set())
        consent.check(options.recipe, consent.of_recipe(named), parts, allow=options.allow)
    wanted = _with_ray(chain.with_backbone(named, options.backbone), options.ray)
    if options.engine == "easyr1":
        _easyr1(wanted, options)
    elif options.sbatch:
        _sbatch(wanted, options)
    else:
        chain.train(wanted, dry_run=options.dry_run, stage=options.stage)


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


def _sbatch(wanted: Recipe, options: argparse.Namespace) -> None:
    settings = _training(wanted)
    base = backbone(settings.backbone)
    chain.check_place(settings, base, sbatch=True)
    named = Path(options.recipe)
    words = ["train", str(named.absolute() if named.exists() else wanted.run_dir.absolute())]
    words += ["--backbone", options.backbone] if options.backbone else []
    words += ["--stage", options.stage] if options.stage else []
    words += ["--allow"] if options.allow else []
    name = "-".join(part for part in (wanted.name, settings.name) if part)
    text = slurm.script(settings, name, settings.gpus or base.gpus, interpreter.locate(settings), words, Path.cwd())
    if options.dry_run:
        say(*text.removesuffix("\n").split("\n"))
    else:
        slurm.write(options.sbatch, text)
        say(f"Send it with: sbatch {shlex.quote(str(options.sbatch))}")


def _easyr1(wanted: Recipe, options: argparse.Namespace) -> None:
    settings = _training(wanted)
    if options.sbatch or options.stage:
        raise TrainerError("With --engine easyr1 whole chains are written, not run; leave out --sbatch and --stage.")
    base = backbone(settings.backbone)
    easyr1_config.check_backbone(settings, base)  # before its weights are looked for
    out = console(stderr=True)
    with Inspection(settings, Display(out), write=not options.dry_run) as inspection:
        links, _ = chain.ready(wanted, settings, inspection, None, out)
    report.refuse(inspection)
    if options.dry_run:
        for name, text in easyr1_files.files(links).items():
            say(f"# {name}", *text.split("\n"))
    else:
        folder = easyr1_files.write(links)
        say(f"Run {folder / easyr1_files.SCRIPT} in a checkout of EasyR1 at commit {easyr1.COMMIT}.")
