"""Train a recipe's stages one after the other, each from the exported checkpoint of the one before.

Everything that can be refused is refused before the first trainer starts: data, batch arithmetic, parent weights, a
plan that no longer fits. After that `plan.json` is written at every change of state, so running again goes on where it
stopped: done stages are left alone, a stage that died resumes from the trainer's own last checkpoint.
"""

import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render import terminal
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from training import interpreter, stage_files
from training.canary import record as canary
from training.checkpoints import export, first_parent
from training.dry_run import show
from training.knobs import Backbone, backbone
from training.on_verl import compose, freeze, lora
from training.plan import State
from training.preflight import origin
from training.preflight import show as report
from training.preflight.inspection import Inspection
from training.preflight.machine import hardware
from training.preflight.rows import coverage
from training.run_stage import train_stage
from training.stages import Link, Links


def train(
    recipe: Recipe,
    *,
    dry_run: bool = False,
    console: Console | None = None,
    stage: str | None = None,
) -> None:
    """Train `recipe`, or with `dry_run` print the plan and the commands and write nothing.

    With `stage` only that link is trained, and those before it must be done.

    Raises:
        TrainerError: the training may not start, does not fit what was begun, or a trainer failed; the plan keeps why.
        RecipeError: the training section or its backbone is not right.
        RunError: the run does not have the rows or the order.
    """
    console = console or terminal.console(stderr=True)
    if recipe.training is None:
        raise TrainerError("The recipe has no training section; add `training: {backbone: micro}` to it.")
    check_place(recipe.training, backbone(recipe.training.backbone), dry_run=dry_run)
    display = Display(console)
    if dry_run:
        with Inspection(recipe.training, display, write=False) as inspection:
            links, _ = ready(recipe, recipe.training, inspection, stage, terminal.console())
        show(links, terminal.console())
        report.refuse(inspection)
        return
    if not recipe.run_dir.is_dir():
        raise TrainerError(f"There is no run {recipe.run_dir}; build it first (capcurriculum build).")
    folder = recipe.training_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        with Inspection(recipe.training, display, write=True) as inspection:
            links, wanted = ready(recipe, recipe.training, inspection, stage, console, starting=True)
        report.refuse(inspection)
        interpreter.check(links.python, links.variables(wanted[0]))
        links.save()
        for number in wanted:
            one = links.stages[number]
            if one.state == State.DONE:
                done = f"{one.stage}: done, {one.total_steps} steps, {one.checkpoint}"
                console.print(terminal.visible(done), markup=False, highlight=False, soft_wrap=True)
            else:
                train_stage(links, number, console)


def ready(
    recipe: Recipe,
    settings: TrainingRecipe,
    inspection: Inspection,
    stage: str | None,
    out: Console,
    *,
    starting: bool = False,
) -> tuple[Links, list[int]]:
    """The chain, the numbers of the links to train, and the report of all that is wrong with them, printed.

    Only where it is `starting` are the trainer's environment and its GPUs asked: that runs programs of the recipe's.
    """
    try:
        links = Links(recipe, settings, inspection.display if inspection.write else None, inspection, stage)
        wanted = _wanted(links, stage)
        preflight(links, wanted, inspection)
        _composed(links, wanted, inspection, starting=starting)
        _machines(links, wanted, inspection, starting=starting)
    finally:
        report.show(inspection, out)
        if inspection.write:
            report.save(inspection, recipe.training_dir.absolute())
    return links, wanted


def with_backbone(recipe: Recipe, name: str | None) -> Recipe:
    """The recipe with another backbone and that one's model, its training told apart by the backbone's name."""
    before = recipe.training or TrainingRecipe()
    if name is None or (recipe.training and name == before.backbone):
        return recipe
    folder = f"{before.name}-{name}" if before.name else name
    changed = before.model_dump(exclude_unset=True) | {"backbone": name, "name": folder, "model": ""}
    return recipe.model_copy(update={"training": TrainingRecipe.model_validate(changed)})


def check_place(settings: TrainingRecipe, base: Backbone, *, sbatch: bool = False, dry_run: bool = False) -> None:
    """Refuse a training on machines that it cannot have; a Slurm job starts a cluster of its own.

    Raises:
        TrainerError: saying what is missing.
    """
    if (settings.device or base.device) == "cpu" and (settings.ray or settings.nodes > 1 or sbatch):
        raise TrainerError(
            f"{settings.backbone} is trained on this machine's CPU, so training.nodes must be 1, and neither a Ray "
            f"cluster nor a Slurm job is of use."
        )
    if settings.nodes > 1 and not (settings.ray or sbatch or dry_run):
        raise TrainerError(
            f"A training on {settings.nodes} nodes needs a Ray cluster: give its address (training.ray or --ray), or "
            f"write a Slurm job that starts one (--sbatch FILE)."
        )
    interpreter.locate(settings)


def _wanted(links: Links, stage: str | None) -> list[int]:
    """The numbers of the links to train, in their order."""
    if stage is None:
        return list(range(len(links.stages)))
    names = [one.stage for one in links.stages]
    if stage not in names:
        raise TrainerError(f"This training has no stage {stage}; its stages are {', '.join(names)}.")
    number = names.index(stage)
    if left := [one.stage for one in links.stages[:number] if one.state != State.DONE]:
        raise TrainerError(f"Stage {stage} follows {left[-1]}, which is not done; train that first.")
    return [number]


def preflight(links: Links, wanted: Sequence[int], inspection: Inspection) -> None:
    """Parents, frozen weights and the machine of every stage to come; raises what no look at rows could put right."""
    coming = [number for number in wanted if links.stages[number].state != State.DONE]
    _note(links, coming, inspection)
    for number in wanted:
        link, stage = links.links[number], links.stages[number]
        if number in coming and not links.absent:
            _check_trained(links, link)
        if number == 0 and links.absent:
            continue
        if number and links.stages[number - 1].state != State.DONE:
            continue  # its parent does not exist yet
        now = export.checkpoint_digest(links.parent(number))
        if stage.parent_digest not in ("", now):
            raise TrainerError(
                f"Stage {stage.stage} was begun from a parent checkpoint of digest {stage.parent_digest}, and "
                f"{links.parent(number)} now has {now}; restore it, or train under another name (training.name)."
            )
    if coming and links.absent:
        unknown = "lengths of prompts, names of frozen weights, memory and disk are unknown without it"
        inspection.findings.warn("weights", f"{links.absent.rstrip('.')}; {unknown}")
    elif coming:
        gpus = (links.settings.gpus or links.base.gpus) * links.settings.nodes
        needs, nodes = [links.need(number) for number in coming], links.settings.nodes
        inspection.chain(needs, links.parent(coming[0]), gpus, links.device, nodes)


def _composed(links: Links, wanted: Sequence[int], inspection: Inspection, *, starting: bool) -> None:
    """Whether verl knows the keys that the recipe sets itself; a dry run asks nothing but its own interpreter."""
    coming = [number for number in wanted if links.stages[number].state != State.DONE and links.own_keys(number)]
    if not coming:
        return
    said = None
    if starting or links.python == sys.executable:
        asked = [("sft" if links.links[n].captions else "grpo", links.words(n)) for n in coming]
        said = compose.faults(links.python, links.variables(coming[0]), asked)
    if said is None:
        inspection.findings.warn(
            "verl", "whether verl knows the keys of training.verl is unknown here: it cannot be asked"
        )
        return
    for number, fault in zip(coming, said, strict=True):
        if fault:
            text = f"verl does not take its configuration with the keys of training.verl: {fault.rstrip('.')}"
            inspection.findings.error("verl", text, links.stages[number].stage)


def _machines(links: Links, wanted: Sequence[int], inspection: Inspection, *, starting: bool) -> None:
    """GPUs, driver, libraries and memory, where a training is about to use them."""
    coming = [number for number in wanted if links.stages[number].state != State.DONE]
    if links.device != "cuda" or not coming:
        return
    findings, settings = inspection.findings, links.settings
    asked = hardware.asked([links.need(number) for number in coming], links.parent(coming[0]), settings, links.base)
    hardware.divided(asked, findings)
    if not starting:
        if not inspection.write:
            findings.note(
                "machine", "the trainer's libraries, driver and GPUs are looked at only when a training starts"
            )
        return
    variables = links.variables(coming[0])
    interpreter.check(links.python, variables)
    paths = [str(links.recipe.run_dir.absolute()), str(links.parent(coming[0]))] if settings.nodes > 1 else []
    hardware.note(links.python, variables, asked, paths, findings, settings.ray)


def _note(links: Links, coming: Sequence[int], inspection: Inspection) -> None:
    """What the links to come leave unused or cannot know, and whose pass rates the first of the chain goes by."""
    for number in coming:
        link, stage = links.links[number], links.stages[number]
        text = coverage.unused(
            (stage.rows, stage.batch_size, stage.total_steps),
            drawn=link.captions or link.knobs.shuffle,
            epochs=1 if link.captions else coverage.epochs_of(link.taught.train),
        )
        if text:
            inspection.findings.note("unused", text, stage.stage)
        if link.knobs.validate_every and not link.captions:
            selects = link.select == "best"
            if text := coverage.unsure(stage_files.count(link.files.val), selects=selects):
                (inspection.findings.warn if selects else inspection.findings.note)("unsure", text, stage.stage)
        if links.settings.canary and not link.captions:
            report = inspection.stages.get(stage.stage)
            pictures = None if report is None or not report.tokens else report.image_tokens > 0
            inspection.findings.note("canary", canary.planned(pictures, link.knobs.save_every), stage.stage)
    trained = links.settings.model or links.base.model
    if 0 in coming and (told := origin.sentence(links.recipe, Run(links.recipe.run_dir), trained)):
        inspection.findings.note("measured_by", told)


def _check_trained(links: Links, link: Link) -> None:
    """Names of weights are those of the first parent all along the chain."""
    if link.knobs.freeze or link.knobs.lora_rank:
        names = first_parent.tensor_names(links.first_parent)
        try:
            if link.knobs.freeze:
                freeze.chosen(names, link.knobs.freeze)
            lora.check(names, link.knobs)
        except ValueError as error:
            raise TrainerError(f"Stage {link.run.stage} cannot be trained: {error}; mend that knob.") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the training's lock; the system releases it however the process ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainerError(f"Another process is training in {folder}; wait for it or end it first.") from error
        yield
