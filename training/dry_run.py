"""What a dry run prints: the plan as a table, where it differs from the paper, and each stage's command."""

import shlex

from rich.console import Console

from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from training.differences import differences
from training.on_verl import environment
from training.plan import State
from training.stages import Links


def show(links: Links, out: Console) -> None:
    """Print the plan and the commands of the stages that are not done."""
    name = f"Training {links.settings.name} of {links.recipe.name}" if links.settings.name else links.recipe.name
    out.print(visible(f"{name}: {links.settings.backbone} on {links.device}"), markup=False, highlight=False)
    numbers = ("rows", "batch", "epochs", "per epoch", "steps", "rollouts")
    rows = []
    for link, stage in zip(links.links, links.stages, strict=True):
        rollouts = stage.total_steps * stage.batch_size * stage.rollouts
        counts = (stage.rows, stage.batch_size, stage.epochs, stage.steps_per_epoch, stage.total_steps, rollouts)
        frozen = f"all but adapters of rank {link.knobs.lora_rank}" if link.knobs.lora_rank else link.knobs.freeze
        rows.append((stage.stage, stage.state.value, *(f"{count:,}" for count in counts), frozen or "-"))
    out.print(grid(("stage", "state", *numbers, "frozen"), rows, numbers))
    for sentence in differences(links):
        out.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)
    for number, stage in enumerate(links.stages):
        if stage.state != State.DONE:
            variables = environment.own_variables(links.variables(number)).items()
            words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables)
            # Not through rich: a command must stay one line, with nothing in it taken for markup.
            out.file.write(f"# {visible(stage.stage)}\n{visible(f'{words} {shlex.join(links.command(number))}')}\n")
