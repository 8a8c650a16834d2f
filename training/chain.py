"""Train a recipe's stages one after the other, each from the exported checkpoint of the one before.

Everything that can be refused is refused before the first trainer starts: data, batch arithmetic, parent weights, a
plan that no longer fits. After that `plan.json` is written at every change of state, so running again goes on where it
stopped: done stages are left alone, a stage that died resumes from the trainer's own last checkpoint.
"""

import dataclasses
import fcntl
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe_training import StageRun, TrainingRecipe
from training import dataset, environment, export, launch, metrics, overrides, parents, plan
from training.knobs import Backbone, Knobs, backbone, resolve
from training.plan import StagePlan, State

#: What a step's progress line shows: name, verl's metric, format. Tokens are the mean length of a reply.
_SHOWN = (
    ("reward", "critic/score/mean", ".3f"),
    ("tokens", "response_length/mean", ".0f"),
    ("seconds", "timing_s/step", ".1f"),
)


@dataclass(frozen=True, slots=True)
class _Link:
    """One stage with all that a run of it needs; `folder` is absolute."""

    run: StageRun
    knobs: Knobs
    files: dataset.StageFiles
    folder: Path

    @property
    def checkpoints(self) -> Path:
        return self.folder / "trainer"

    @property
    def exported(self) -> Path:
        return self.folder / "checkpoint"


class _Chain:
    """What stays the same over the stages of one `train`."""

    def __init__(self, recipe: Recipe, settings: TrainingRecipe, console: Console) -> None:
        self.recipe = recipe
        self.settings = settings
        self.console = console
        self.base: Backbone = backbone(settings.backbone)
        self.device = settings.device or self.base.device
        self.folder = recipe.run_dir.absolute() / "training"
        self.plan_file = self.folder / "plan.json"
        self.first_parent = parents.locate(settings.model or self.base.model)
        self.links = [self._link(run) for run in settings.stages]
        self.stages = self.reconciled()

    def reconciled(self) -> list[StagePlan]:
        """The plan on disk with the recipe and the data of now; raises what `plan.reconcile` raises."""
        left = [self._as_left(stage) for stage in plan.load(self.plan_file)]
        return plan.reconcile([self._draft(link) for link in self.links], left)

    def _as_left(self, stage: StagePlan) -> StagePlan:
        """A stage that ended before its first save has learned nothing, and so may begin anew with other settings."""
        unfinished = stage.state in (State.RUNNING, State.FAILED)
        if unfinished and export.last_step(self.folder / stage.stage / "trainer") == 0:
            return dataclasses.replace(stage, state=State.PENDING)
        return stage

    def _link(self, run: StageRun) -> _Link:
        files = dataset.stage_files(self.recipe.run_dir, run.stage)
        return _Link(run, resolve(self.settings, run), files, self.folder / run.stage)

    def _draft(self, link: _Link) -> StagePlan:
        knobs, files = link.knobs, link.files
        per_epoch, total = plan.total_steps(files.rows, knobs.batch_size, knobs.epochs, knobs.max_steps, link.run.stage)
        config = overrides.identity(self.config(link, self.first_parent, total))
        return StagePlan(
            stage=link.run.stage,
            state=State.PENDING,
            dataset_digest=files.digest,
            config_digest=plan.config_digest(config),
            config=config,
            rows=files.rows,
            batch_size=knobs.batch_size,
            rollouts=knobs.rollouts,
            epochs=knobs.epochs,
            steps_per_epoch=per_epoch,
            total_steps=total,
        )

    def config(self, link: _Link, parent: Path, total: int) -> dict[str, Any]:
        paths = overrides.Paths(link.files.train, link.files.val, parent, link.checkpoints)
        return overrides.config(self.settings, self.base, link.run, link.knobs, paths, total)

    def parent(self, number: int) -> Path:
        return self.links[number - 1].exported if number else self.first_parent

    def command(self, number: int) -> list[str]:
        link = self.links[number]
        keys = self.config(link, self.parent(number), self.stages[number].total_steps)
        words = overrides.arguments(keys | {"hydra.run.dir": str(link.folder / "hydra")})
        return [sys.executable, "-m", "verl.trainer.main_ppo", *words]

    def record(self, number: int, **changes: Any) -> StagePlan:
        """Change a stage and put the plan on disk."""
        self.stages[number] = dataclasses.replace(self.stages[number], **changes)
        plan.save(self.plan_file, self.recipe.name, self.stages)
        return self.stages[number]


def train(recipe: Recipe, *, dry_run: bool = False, console: Console | None = None) -> None:
    """Train `recipe`, or with `dry_run` print the plan and the commands and write nothing.

    Raises:
        TrainerError: the training may not start, does not fit what was begun, or a trainer failed; the plan keeps why.
        RecipeError: the training section or its backbone is not right.
    """
    console = console or Console(stderr=True)
    if recipe.training is None:
        raise TrainerError("The recipe has no training section; add `training: {backbone: micro}` to it.")
    chain = _Chain(recipe, recipe.training, console)
    if dry_run:
        _preflight(chain)
        _show(chain, Console())
        return
    chain.folder.mkdir(parents=True, exist_ok=True)
    with _alone(chain.folder):
        chain.stages = chain.reconciled()  # another process may have trained since the first look
        _preflight(chain)
        plan.save(chain.plan_file, recipe.name, chain.stages)
        for number, stage in enumerate(chain.stages):
            if stage.state == State.DONE:
                console.print(f"{stage.stage}: done, {stage.total_steps} steps, {stage.checkpoint}")
            else:
                _train_stage(chain, number)


def _preflight(chain: _Chain) -> None:
    """Data of every stage to come, and the parent of each begun or next one."""
    for number, (link, stage) in enumerate(zip(chain.links, chain.stages, strict=True)):
        if stage.state != State.DONE:
            dataset.preflight(link.files)
        if number and chain.stages[number - 1].state != State.DONE:
            continue  # its parent does not exist yet
        now = export.checkpoint_digest(chain.parent(number))
        if stage.parent_digest not in ("", now):
            raise TrainerError(
                f"Stage {stage.stage} was begun from a parent checkpoint of digest {stage.parent_digest}, and "
                f"{chain.parent(number)} now has {now}; restore it, or train under another recipe name."
            )


def _train_stage(chain: _Chain, number: int) -> None:
    link, parent = chain.links[number], chain.parent(number)
    link.folder.mkdir(parents=True, exist_ok=True)
    stage = chain.record(
        number,
        state=State.RUNNING,
        parent=str(parent),
        parent_digest=export.checkpoint_digest(parent),
        attempts=chain.stages[number].attempts + 1,
        started=chain.stages[number].started or _now(),
        error="",
    )
    try:
        _run_trainer(chain, number, stage)
        made = export.export(link.checkpoints, stage.total_steps, parent, link.exported, chain.device)
    except TrainerError as error:
        chain.record(number, state=State.FAILED, error=str(error))
        raise
    except KeyboardInterrupt:
        chain.record(number, state=State.FAILED, error="Interrupted; run again to resume.")
        raise
    chain.record(number, state=State.DONE, checkpoint=str(link.exported), checkpoint_digest=made, finished=_now())
    chain.console.print(f"{stage.stage}: done, {stage.total_steps} steps, {link.exported}")


def _run_trainer(chain: _Chain, number: int, stage: StagePlan) -> None:
    """Bring the stage to its last step, from wherever it is."""
    link = chain.links[number]
    export.forget_incomplete(link.checkpoints)
    reached = export.last_step(link.checkpoints)
    if reached < stage.total_steps:
        again = f", resuming after step {reached}" if reached else ""
        chain.console.print(f"{stage.stage}: {stage.total_steps} steps on {stage.rows} rows{again}")
        series = link.folder / "metrics.jsonl"
        metrics.begin(series, reached)

        def on_step(step: Mapping[str, Any]) -> None:
            metrics.append(series, step)
            chain.console.print(f"{stage.stage}: {_progress(step, stage.total_steps)}")

        launch.run(
            launch.Job(
                command=chain.command(number),
                environment=environment.trainer_environment(chain.device),
                folder=link.folder,
                stall_seconds=chain.settings.stall_minutes * 60,
                on_step=on_step,
            )
        )
        reached = export.last_step(link.checkpoints)
    if reached != stage.total_steps:
        raise TrainerError(
            f"The trainer ended at step {reached} of {stage.total_steps} without an error; "
            f"see {link.folder / 'verl.log'}, and run again to resume."
        )


def _progress(step: Mapping[str, Any], total: int) -> str:
    data = step["data"]
    values = [f"{name} {data[key]:{form}}" for name, key, form in _SHOWN if data.get(key) is not None]
    return f"step {step['step']}/{total}  {'  '.join(values)}"


def _show(chain: _Chain, out: Console) -> None:
    """The plan as a table, then each stage's command with the variables it needs."""
    table = Table(title=f"Training of {chain.recipe.name}: {chain.settings.backbone} on {chain.device}")
    columns = ("stage", "state", "rows", "batch", "epochs", "steps/epoch", "steps", "rollouts")
    for column in columns:
        table.add_column(column, justify="left" if column in ("stage", "state") else "right")
    for stage in chain.stages:
        rollouts = stage.total_steps * stage.batch_size * stage.rollouts
        numbers = (stage.rows, stage.batch_size, stage.epochs, stage.steps_per_epoch, stage.total_steps, rollouts)
        table.add_row(stage.stage, stage.state.value, *(f"{number:,}" for number in numbers))
    out.print(table)
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment.own_variables(chain.device).items()]
    for number, stage in enumerate(chain.stages):
        if stage.state != State.DONE:
            # Not through rich: a command must stay one line, with nothing in it taken for markup.
            out.file.write(f"# {stage.stage}\n{' '.join(variables)} {shlex.join(chain.command(number))}\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the training's lock; the system releases it however the process ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainerError(f"Another process is training in {folder}; wait for it or end it first.") from error
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
