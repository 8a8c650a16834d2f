"""The verbs that train, and that show how a training goes."""

from pathlib import Path
from typing import Annotated, Literal

from capcurriculum.cli.app import TRAIN, verb
from capcurriculum.cli.options import Allow, RecipeName, RunName, opt
from capcurriculum.render import terminal


@verb("train curricula/recipes/demo.yaml --dry-run", TRAIN)
def train(
    recipe: RecipeName,
    /,
    *,
    backbone: Annotated[str | None, opt("Another backbone, in a training of its own: qwen2_5_vl_7b, ...")] = None,
    stage: Annotated[str | None, opt("Train this stage alone; those before it must be done")] = None,
    engine: Annotated[
        Literal["verl", "easyr1"], opt("easyr1: write files for EasyR1, and train nothing here")
    ] = "verl",
    ray: Annotated[str | None, opt("Join the Ray cluster at auto, host:port or ray://host:port")] = None,
    sbatch: Annotated[Path | None, opt("Write a Slurm script that trains to this file, and do not train")] = None,
    allow: Allow = False,
    dry_run: Annotated[bool, opt("Print the plan and the exact commands, and change nothing")] = False,
) -> None:
    """Train a model through the stages with verl, or resume where a training stopped."""
    from capcurriculum import consent, run
    from training import chain, command, interpreter

    named = run.recipe_of(recipe)
    if not dry_run:
        if named.training:
            interpreter.locate(named.training)  # no question about a program that does not exist
        parts = consent.TRAINING - ({consent.RAY} if ray else set())
        consent.check(recipe, consent.of_recipe(named), parts, allow=allow)
    wanted = command.with_ray(chain.with_backbone(named, backbone), ray)
    if engine == "easyr1":
        command.for_easyr1(wanted, chains=not (sbatch or stage), dry_run=dry_run)
    elif sbatch:
        words = [*(["--backbone", backbone] if backbone else []), *(["--stage", stage] if stage else [])]
        command.sbatch(recipe, wanted, [*words, *(["--allow"] if allow else [])], None if dry_run else sbatch)
    else:
        chain.train(wanted, dry_run=dry_run, stage=stage)


@verb("curves demo --samples", TRAIN)
def curves(
    run: RunName,
    /,
    *,
    samples: Annotated[bool, opt("Also print replies to the same validation rows before and after each stage")] = False,
) -> None:
    """Draw held-out accuracy, reward and response length of a run's trainings against steps, also while they run."""
    from capcurriculum.run import named
    from training import samples as replies
    from training.supervise import curves as plots

    folder = named(run).path
    for name, training in plots.trainings(folder).items() if samples else ():
        replies.show_samples(name, replies.of_training(folder, training), terminal.console())
    terminal.say(*plots.write(folder))
