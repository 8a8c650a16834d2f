"""What a dry run prints: the plan as a table, where it differs from the paper, and each stage's command."""

import shlex

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training import environment
from training.differences import differences
from training.links import Links
from training.plan import State


def show(links: Links, out: Console) -> None:
    """Print the plan and the commands of the stages that are not done."""
    name = f"Training {links.settings.name} of {links.recipe.name}" if links.settings.name else links.recipe.name
    table = Table(title=f"{name}: {links.settings.backbone} on {links.device}")
    columns = ("stage", "state", "rows", "batch", "epochs", "steps/epoch", "steps", "rollouts", "frozen")
    for column in columns:
        table.add_column(column, justify="left" if column in ("stage", "state", "frozen") else "right")
    for link, stage in zip(links.links, links.stages, strict=True):
        rollouts = stage.total_steps * stage.batch_size * stage.rollouts
        numbers = (stage.rows, stage.batch_size, stage.epochs, stage.steps_per_epoch, stage.total_steps, rollouts)
        counts = (f"{number:,}" for number in numbers)
        table.add_row(stage.stage, stage.state.value, *counts, escape(link.knobs.freeze or "-"))
    out.print(table)
    for sentence in differences(links):
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for number, stage in enumerate(links.stages):
        if stage.state != State.DONE:
            variables = environment.own_variables(links.variables(number)).items()
            words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables)
            # Not through rich: a command must stay one line, with nothing in it taken for markup.
            out.file.write(f"# {stage.stage}\n{words} {shlex.join(links.command(number))}\n")
