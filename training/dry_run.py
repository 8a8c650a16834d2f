"""The output of a dry run: the plan as a table, its differences from the paper, and each stage's command."""

import shlex

from rich.console import Console

from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from training.knobs import MIXED
from training.on_verl import environment
from training.plan import StagePlan, State
from training.stages import Link, Links


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
            # Not by rich, which would wrap the command.
            out.file.write(f"# {visible(stage.stage)}\n{visible(f'{words} {shlex.join(links.command(number))}')}\n")


#: The rows of all released sets, their steps in 15 epochs of batches of 512, and the steps in the paper's figure.
_MERGED_ROWS, _MERGED_STEPS, _FIGURE_STEPS = 32_736, 945, 930


def differences(links: Links) -> list[str]:
    """Differences from the paper and its scripts, one sentence each; none for backbones that the paper does not use."""
    if not links.base.scripts:
        return []
    found: list[str] = []
    for link, stage in zip(links.links, links.stages, strict=True):
        found += [*_epochs(links, link, stage), *_merged(stage), *_frozen(links, link), *_pixels(links, link)]
    return [*dict.fromkeys([*found, *_run(links)])]


def _epochs(links: Links, link: Link, stage: StagePlan) -> list[str]:
    scripts = links.base.scripts.get(link.run.stage)
    if not scripts or not scripts.epochs:
        return []
    other = stage.steps_per_epoch * scripts.epochs
    if link.knobs.epochs == scripts.epochs:
        return [f"{stage.stage}: {scripts.epochs} epochs as in the released script; the paper reports 15."]
    return [
        f"{stage.stage}: {link.knobs.epochs} epochs; the released script says {scripts.epochs}, which would be {other} "
        f"steps (training.as_in: scripts)."
    ]


def _merged(stage: StagePlan) -> list[str]:
    if (stage.rows, stage.total_steps) != (_MERGED_ROWS, _MERGED_STEPS):
        return []
    return [
        f"{stage.stage}: {_MERGED_STEPS} steps; the paper's figure ends at {_FIGURE_STEPS}, which 31,744 to 32,255 "
        f"rows would give, so at least 481 of its rows were not used."
    ]


def _frozen(links: Links, link: Link) -> list[str]:
    layer = links.base.stages.get(MIXED)
    if not link.knobs.freeze or link.run.stage == "text":
        return []
    if layer and layer.freeze and link.run.stage in (MIXED, "difficulty", "interleaved"):
        return [
            f"{link.run.stage}: the vision tower is frozen, as in the script; staged training trains it in two of "
            f"three stages, so the two differ in more than the order."
        ]
    return [f"{link.run.stage}: weights are frozen that the stage's released script trains."]


def _pixels(links: Links, link: Link) -> list[str]:
    side = 2 * links.base.image_patch_size
    tokens = link.knobs.max_pixels // side**2
    if link.run.stage == "text" or tokens <= link.knobs.max_prompt_tokens:
        return []
    return [
        f"{link.run.stage}: an image of max_pixels is {tokens:,} tokens and a prompt may have "
        f"{link.knobs.max_prompt_tokens:,}; the released scripts drop longer rows without a word, here none is dropped "
        f"unsaid."
    ]


def _run(links: Links) -> list[str]:
    validated = any(link.knobs.validate_every for link in links.links)
    rows = "each stage has rows of its own" if validated else "none, since every row is trained on"
    found = [f"validation: {rows}; the released scripts validate all stages on geometry."]
    if links.recipe.rollouts.sampling.temperature == 0.7:
        found.append("pass rates: temperature 0.7 as in the released scripts; the data set cards say 1.0.")
    if not any(link.knobs.shuffle for link in links.links):
        found.append("order: rows keep their order in every epoch; the released staged and merged scripts shuffle.")
    return found
