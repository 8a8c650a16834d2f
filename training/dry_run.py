"""The output of a dry run: the plan as a table, its differences from the paper, and each stage's command."""

import shlex
from collections.abc import Iterator

from rich.console import Console

from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from training.knobs import MIXED
from training.link import Link
from training.on_verl import environment
from training.plan import StagePlan, State
from training.stages import Links


def show(links: Links, out: Console) -> None:
    """Print the plan and the commands of the stages that are not done."""
    name = f"Training {links.settings.name} of {links.recipe.name}" if links.settings.name else links.recipe.name
    out.print(visible(f"{name}: {links.settings.backbone} on {links.device}"), markup=False, highlight=False)
    numbers = ("rows", "batch", "epochs", "per epoch", "steps", "rollouts", *(["refresh"] if links.refreshing else []))
    rows = []
    for link, stage in zip(links.links, links.stages, strict=True):
        rollouts = stage.total_steps * stage.batch_size * stage.rollouts
        counts = [stage.rows, stage.batch_size, stage.epochs, stage.steps_per_epoch, stage.total_steps, rollouts]
        counts += [stage.refresh_rollouts] if links.refreshing else []
        frozen = f"all but adapters of rank {link.knobs.lora_rank}" if link.knobs.lora_rank else link.knobs.freeze
        rows.append((stage.stage, stage.state.value, *(f"{count:,}" for count in counts), frozen or "-"))
    out.print(grid(("stage", "state", *numbers, "frozen"), rows, numbers))
    for sentence in (*refreshes(links), *differences(links)):
        out.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)
    for number, stage in enumerate(links.stages):
        if stage.state != State.DONE:
            variables = environment.own_variables(links.variables(number)).items()
            words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables)
            # Not by rich, which would wrap the command.
            out.file.write(f"# {visible(stage.stage)}\n{visible(f'{words} {shlex.join(links.command(number))}')}\n")


def refreshes(links: Links) -> Iterator[str]:
    """What `training.refresh` does before each of its stages, one sentence each."""
    section = links.settings.refresh
    if section and not links.refreshing:
        yield "refresh: no stage starts from another model than the one that measured its rows."
    for number, stage in enumerate(links.stages):
        task = links.refresh(number)
        if section is None or stage.stage not in links.refreshing:
            continue
        if task is None:
            yield (
                f"{stage.stage}: {stage.rows} of {stage.refresh_rows} rows are left after {stage.refresh_rollouts} "
                f"rollouts of {stage.refreshed_by}."
            )
        else:
            yield (
                f"{stage.stage}: before its first step {task.name} answers its {stage.rows} rows, up to {section.k} "
                f"times each, with {task.model.engine}; those with {section.above:g} < pass rate < {section.below:g} "
                f"are trained on ({section.order}), so its rows, steps and rollouts are at most these."
            )


#: The rows of all released sets, their steps in 15 epochs of batches of 512, and the steps in the paper's figure.
_MERGED_ROWS, _MERGED_STEPS, _FIGURE_STEPS = 32_736, 945, 930


def differences(links: Links) -> list[str]:
    """Differences from the paper and its scripts, one sentence each; none for backbones that the paper does not use."""
    if not links.base.scripts:
        return []
    pairs = zip(links.links, links.stages, strict=True)
    return [*dict.fromkeys([*(text for link, stage in pairs for text in _of_stage(links, link, stage)), *_run(links)])]


def _of_stage(links: Links, link: Link, stage: StagePlan) -> Iterator[str]:
    scripts, merged, knobs, name = (
        links.base.scripts.get(link.run.stage),
        links.base.stages.get(MIXED),
        link.knobs,
        stage.stage,
    )
    if scripts and scripts.epochs:
        if knobs.epochs == scripts.epochs:
            yield f"{name}: {scripts.epochs} epochs as in the released script; the paper reports 15."
        else:
            yield (
                f"{name}: {knobs.epochs} epochs; the released script says {scripts.epochs}, which would be "
                f"{stage.steps_per_epoch * scripts.epochs} steps (training.as_in: scripts)."
            )
    if (stage.rows, stage.total_steps) == (_MERGED_ROWS, _MERGED_STEPS):
        yield (
            f"{name}: {_MERGED_STEPS} steps; the paper's figure ends at {_FIGURE_STEPS}, which 31,744 to 32,255 "
            f"rows would give, so at least 481 of its rows were not used."
        )
    if knobs.freeze and name != "text":
        if merged and merged.freeze and name in (MIXED, "difficulty", "interleaved"):
            yield (
                f"{name}: the vision tower is frozen, as in the script; staged training trains it in two of three "
                f"stages, so the two differ in more than the order."
            )
        else:
            yield f"{name}: weights are frozen that the stage's released script trains."
    tokens = knobs.max_pixels // (2 * links.base.image_patch_size) ** 2
    if name != "text" and tokens > knobs.max_prompt_tokens:
        yield (
            f"{name}: an image of max_pixels is {tokens:,} tokens and a prompt may have {knobs.max_prompt_tokens:,}; "
            f"the released scripts drop longer rows without a word, here none is dropped unsaid."
        )


def _run(links: Links) -> Iterator[str]:
    validated = any(link.knobs.validate_every for link in links.links)
    rows = "each stage has rows of its own" if validated else "none, since every row is trained on"
    yield f"validation: {rows}; the released scripts validate all stages on geometry."
    if links.recipe.rollouts.sampling.temperature == 0.7:
        yield "pass rates: temperature 0.7 as in the released scripts; the data set cards say 1.0."
    if not any(link.knobs.shuffle for link in links.links):
        yield "order: rows keep their order in every epoch; the released staged and merged scripts shuffle."
