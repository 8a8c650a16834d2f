"""Train a recipe's stages one after the other, each from the exported checkpoint of the previous one.

Data, batch arithmetic, parent weights and a plan that no longer fits are checked before the first trainer starts.
`plan.json` is then written at every change of state, so a rerun continues where the last one stopped: done stages are
skipped, and an interrupted stage resumes from the trainer's last checkpoint.
"""

import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from capcurriculum.did_you_mean import meant
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
from training.link import Link
from training.on_verl import compose, freeze, lora
from training.plan import State
from training.preflight import origin
from training.preflight import show as report
from training.preflight.inspection import Inspection
from training.preflight.machine import hardware
from training.preflight.rows import coverage
from training.refresh_stage import refresh_stage
from training.run_stage import say, train_stage
from training.stages import Links


def train(recipe: Recipe, *, dry_run: bool = False, console: Console | None = None, stage: str | None = None) -> None:
    """Train `recipe`, or with `dry_run` print the plan and the commands and write nothing.

    With `stage` only that stage is trained, and those before it must be done.

    Raises:
        TrainerError: the training may not start, does not fit what was begun, or a trainer failed; the plan records
        why. RecipeError: the training section or its backbone is not valid. RunError: the run lacks the rows or the
        order.
    """
    console, settings = console or terminal.console(stderr=True), section(recipe)
    check_place(settings, backbone(settings.backbone), dry_run=dry_run)
    if dry_run:
        with Inspection(settings, Display(console), write=False) as inspection:
            links, _ = ready(recipe, settings, inspection, stage, terminal.console())
        show(links, terminal.console())
        report.refuse(inspection)
        return
    if not recipe.run_dir.is_dir():
        raise TrainerError(f"There is no run {recipe.run_dir}; build it first (capcurriculum build).")
    folder = recipe.training_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        with Inspection(settings, Display(console), write=True) as inspection:
            links, wanted = ready(recipe, settings, inspection, stage, console, starting=True)
        report.refuse(inspection)
        interpreter.check(links.python, links.variables(wanted[0]))
        links.save()
        for number in wanted:
            plan = links.stages[number]
            if plan.state == State.DONE:
                say(console, f"{plan.stage}: done, {plan.total_steps} steps, {plan.checkpoint}")
            else:
                refresh_stage(links, number, console)
                train_stage(links, number, console)


def section(recipe: Recipe) -> TrainingRecipe:
    """The recipe's training section.

    Raises:
        TrainerError: it has none.
    """
    if recipe.training is None:
        raise TrainerError("The recipe has no training section; add `training: {backbone: micro}` to it.")
    return recipe.training


def ready(
    recipe: Recipe,
    settings: TrainingRecipe,
    inspection: Inspection,
    stage: str | None,
    out: Console,
    *,
    starting: bool = False,
) -> tuple[Links, list[int]]:
    """Check everything and print the report; returns the chain and the numbers of the links to train.

    Only if `starting` are the trainer's environment and GPUs probed, because that runs a program the recipe names.
    """
    try:
        links = Links(recipe, settings, inspection.display if inspection.write else None, inspection, stage)
        wanted = _wanted(links, stage)
        coming = [number for number in wanted if links.stages[number].state != State.DONE]
        _note_data(links, coming, inspection)
        _check_weights(links, wanted, coming)
        if coming:
            _note_weights(links, coming, inspection)
            _note_configuration(links, coming, inspection, starting=starting)
            if links.device == "cuda":
                _note_machines(links, coming, inspection, starting=starting)
    finally:
        report.show(inspection, out)
        if inspection.write:
            report.save(inspection, recipe.training_dir.absolute())
    return links, wanted


def with_backbone(recipe: Recipe, name: str | None) -> Recipe:
    """The recipe with another backbone and that backbone's model, in a training whose name includes the backbone's.

    Raises:
        RecipeError: there is no such backbone.
    """
    before = recipe.training or TrainingRecipe()
    if name is None or (recipe.training and name == before.backbone):
        return recipe
    backbone(name)
    folder = f"{before.name}-{name}" if before.name else name
    changed = before.model_dump(exclude_unset=True) | {"backbone": name, "name": folder, "model": ""}
    return recipe.model_copy(update={"training": TrainingRecipe.model_validate(changed)})


def check_place(settings: TrainingRecipe, base: Backbone, *, sbatch: bool = False, dry_run: bool = False) -> None:
    """Check that nodes, Ray cluster and device fit together; a Slurm job starts its own cluster.

    Raises:
        TrainerError: they do not.
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
    """The numbers of the links to train, in order."""
    if stage is None:
        return list(range(len(links.stages)))
    names = [one.stage for one in links.stages]
    if stage not in names:
        raise TrainerError(
            f"This training has no stage {stage}{meant(stage, names)}; its stages are {', '.join(names)}."
        )
    number = names.index(stage)
    if left := [one.stage for one in links.stages[:number] if one.state != State.DONE]:
        raise TrainerError(f"Stage {stage} follows {left[-1]}, which is not done; train that first.")
    return [number]


def _check_weights(links: Links, wanted: Sequence[int], coming: Sequence[int]) -> None:
    """Raise if weights to freeze or adapt do not exist, or a begun stage's parent has changed."""
    for number in wanted:
        stage = links.stages[number]
        if number in coming and not links.absent:
            _check_trained(links, links.links[number])
        if links.absent if number == 0 else links.stages[number - 1].state != State.DONE:
            continue  # its parent does not exist yet
        now = export.checkpoint_digest(links.parent(number))
        if stage.parent_digest not in ("", now):
            raise TrainerError(
                f"Stage {stage.stage} was begun from a parent checkpoint of digest {stage.parent_digest}, and "
                f"{links.parent(number)} now has {now}; restore it, or train under another name (training.name)."
            )


def _check_trained(links: Links, link: Link) -> None:
    """Check the names of frozen and adapted weights, which are those of the first parent throughout the chain."""
    if link.knobs.freeze or link.knobs.lora_rank:
        names = first_parent.tensor_names(links.first_parent)
        try:
            if link.knobs.freeze:
                freeze.chosen(names, link.knobs.freeze)
            lora.check(names, link.knobs)
        except ValueError as error:
            raise TrainerError(f"Stage {link.run.stage} cannot be trained: {error}; mend that knob.") from error


def _note_weights(links: Links, coming: Sequence[int], inspection: Inspection) -> None:
    """Note faults of the parent's weights, and too little disk or memory."""
    if links.absent:
        unknown = "lengths of prompts, names of frozen weights, memory and disk are unknown without it"
        inspection.findings.warn("weights", f"{links.absent.rstrip('.')}; {unknown}")
        return
    nodes = links.settings.nodes
    gpus = (links.settings.gpus or links.base.gpus) * nodes
    inspection.chain([links.need(n) for n in coming], links.parent(coming[0]), gpus, links.device, nodes)


def _note_configuration(links: Links, coming: Sequence[int], inspection: Inspection, *, starting: bool) -> None:
    """Note configurations with keys of the recipe that verl refuses; a dry run starts no other interpreter."""
    changed = [number for number in coming if links.own_keys(number)]
    if not changed:
        return
    faults = None
    if starting or links.python == sys.executable:
        asked = [("sft" if links.links[n].captions else "grpo", links.words(n)) for n in changed]
        faults = compose.faults(links.python, links.variables(changed[0]), asked)
    if faults is None:
        text = "whether verl knows the keys of training.verl is unknown here: it cannot be asked"
        inspection.findings.warn("verl", text)
        return
    for number, fault in zip(changed, faults, strict=True):
        if fault:
            text = f"verl does not take its configuration with the keys of training.verl: {fault.rstrip('.')}"
            inspection.findings.error("verl", text, links.stages[number].stage)


def _note_machines(links: Links, coming: Sequence[int], inspection: Inspection, *, starting: bool) -> None:
    """Note what is wrong with parallelism and, if the training is starting, with GPUs, driver, libraries and memory."""
    findings, settings, parent = inspection.findings, links.settings, links.parent(coming[0])
    asked = hardware.asked([links.need(number) for number in coming], parent, settings, links.base)
    hardware.divided(asked, findings)
    if starting:
        variables = links.variables(coming[0])
        interpreter.check(links.python, variables)
        paths = [str(links.recipe.run_dir.absolute()), str(parent)] if settings.nodes > 1 else []
        hardware.note(links.python, variables, asked, paths, findings, settings.ray)
    elif not inspection.write:
        text = "the trainer's libraries, driver and GPUs are looked at only when a training starts"
        findings.note("machine", text)


def _note_data(links: Links, coming: Sequence[int], inspection: Inspection) -> None:
    """Note unused rows, small validation sets, the canary's plan, and pass rates that another model measured."""
    for number in coming:
        link, stage = links.links[number], links.stages[number]
        text = coverage.unused(
            (stage.rows, stage.batch_size, stage.total_steps),
            drawn=link.captions or link.knobs.shuffle,
            epochs=1 if link.captions else len({path.parent for path in link.taught.train}),
        )
        if text and not links.refresh(number):  # what a refresh will leave is not known
            inspection.findings.note("unused", text, stage.stage)
        if link.captions:
            continue
        if link.knobs.validate_every:
            selects = link.select == "best"
            if text := coverage.unsure(stage_files.count(link.files.val), selects=selects):
                (inspection.findings.warn if selects else inspection.findings.note)("unsure", text, stage.stage)
        if links.settings.canary:
            report = inspection.stages.get(stage.stage)
            images = None if report is None or not report.tokens else report.image_tokens > 0
            inspection.findings.note("canary", canary.planned(images, link.knobs.save_every), stage.stage)
    model = links.settings.model or links.base.model
    if 0 in coming and (text := origin.sentence(links.recipe, Run(links.recipe.run_dir), model)):
        inspection.findings.note("measured_by", text)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the training's lock, which the system releases however the process ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainerError(f"Another process is training in {folder}; wait for it or end it first.") from error
        yield
