"""The verbs that train, and that show how a training goes."""

from pathlib import Path
from typing import Literal

from capcurriculum.cli.options import Allow, RecipeName, RunName
from capcurriculum.render import terminal


def train(
    recipe: RecipeName,
    /,
    *,
    backbone: str | None = None,
    stage: str | None = None,
    engine: Literal["verl", "easyr1"] = "verl",
    ray: str | None = None,
    sbatch: Path | None = None,
    allow: Allow = False,
    dry_run: bool = False,
) -> None:
    """Train a model through the stages with verl, or resume where a training stopped.

    Example: capcurriculum train curricula/recipes/demo.yaml --dry-run

    Args:
        backbone: Another backbone than the recipe's, in a training of its own: qwen2_5_vl_7b, ...
        stage: Train this stage alone; those before it must be done.
        engine: easyr1 writes the same training as files for EasyR1, which is not run here.
        ray: Join the Ray cluster at this address: auto, host:port or ray://host:port.
        sbatch: Write a Slurm script that trains to this file, and do not train.
        dry_run: Print the plan and the exact commands, and change nothing.
    """
    from training import command

    command.train(
        recipe, backbone=backbone, stage=stage, engine=engine, ray=ray, sbatch=sbatch, allow=allow, dry_run=dry_run
    )


def curves(run: RunName, /, *, samples: bool = False) -> None:
    """Draw held-out accuracy, reward and response length of a run's trainings against steps, also while they run.

    Example: capcurriculum curves demo --samples

    Args:
        samples: Also print replies to the same validation rows before and after each stage.
    """
    from capcurriculum.run import named
    from training import samples as replies
    from training.supervise import curves as plots

    folder = named(run).path
    for name, training in plots.trainings(folder).items() if samples else ():
        replies.show_samples(name, replies.of_training(folder, training), terminal.console())
    terminal.say(*plots.write(folder))
