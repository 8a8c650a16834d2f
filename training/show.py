"""What a dry run prints: the plan as a table, then each stage's command with the variables it needs."""

import shlex

from rich.console import Console
from rich.table import Table

from training import environment
from training.links import Links
from training.plan import State


def show(links: Links, out: Console) -> None:
    """Print the plan and the commands of the stages that are not done."""
    name = f"Training {links.settings.name} of {links.recipe.name}" if links.settings.name else links.recipe.name
    table = Table(title=f"{name}: {links.settings.backbone} on {links.device}")
    columns = ("stage", "state", "rows", "batch", "epochs", "steps/epoch", "steps", "rollouts")
    for column in columns:
        table.add_column(column, justify="left" if column in ("stage", "state") else "right")
    for stage in links.stages:
        rollouts = stage.total_steps * stage.batch_size * stage.rollouts
        numbers = (stage.rows, stage.batch_size, stage.epochs, stage.steps_per_epoch, stage.total_steps, rollouts)
        table.add_row(stage.stage, stage.state.value, *(f"{number:,}" for number in numbers))
    out.print(table)
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment.own_variables(links.device).items()]
    for number, stage in enumerate(links.stages):
        if stage.state != State.DONE:
            # Not through rich: a command must stay one line, with nothing in it taken for markup.
            out.file.write(f"# {stage.stage}\n{' '.join(variables)} {shlex.join(links.command(number))}\n")
