"""The links of a chain: each stage's data, knobs and folders, and the plan that they make together.

A link is drafted from the recipe and the data of now and reconciled with the plan on disk, so whoever holds `Links` has
what may be run. Nothing here starts anything; `record` alone writes, and only the plan.
"""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.recipe import Recipe
from capcurriculum.recipe_training import StageRun, TrainingRecipe
from training import dataset, export, overrides, parents, plan
from training.knobs import Backbone, Knobs, backbone, resolve
from training.plan import StagePlan, State


@dataclass(frozen=True, slots=True)
class Link:
    """One stage with all that a run of it needs; `folder` is absolute."""

    run: StageRun
    knobs: Knobs
    files: dataset.StageFiles
    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Where the trainer keeps its own."""
        return self.folder / "trainer"

    @property
    def exported(self) -> Path:
        """What the next stage starts from."""
        return self.folder / "checkpoint"


class Links:
    """The chain of one recipe: what stays the same over its stages, the links, and their plan."""

    def __init__(self, recipe: Recipe, settings: TrainingRecipe) -> None:
        self.recipe = recipe
        self.settings = settings
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

    def _link(self, run: StageRun) -> Link:
        files = dataset.stage_files(self.recipe.run_dir, run.stage)
        return Link(run, resolve(self.settings, run), files, self.folder / run.stage)

    def _draft(self, link: Link) -> StagePlan:
        knobs, files = link.knobs, link.files
        per_epoch, total = plan.total_steps(files.rows, knobs.batch_size, knobs.epochs, knobs.max_steps, link.run.stage)
        config = overrides.identity(self.config(link, self.first_parent, total))
        return StagePlan(
            stage=link.run.stage.value,
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

    def config(self, link: Link, parent: Path, total: int) -> dict[str, Any]:
        """The trainer's configuration of a link that starts from `parent` and makes `total` steps."""
        paths = overrides.Paths(link.files.train, link.files.val, parent, link.checkpoints)
        return overrides.config(self.settings, self.base, link.run, link.knobs, paths, total)

    def parent(self, number: int) -> Path:
        """The checkpoint that a link starts from; it may not exist yet."""
        return self.links[number - 1].exported if number else self.first_parent

    def command(self, number: int) -> list[str]:
        """What trains a link."""
        link = self.links[number]
        keys = self.config(link, self.parent(number), self.stages[number].total_steps)
        words = overrides.arguments(keys | {"hydra.run.dir": str(link.folder / "hydra")})
        return [sys.executable, "-m", "verl.trainer.main_ppo", *words]

    def record(self, number: int, **changes: Any) -> StagePlan:
        """Change a stage and put the plan on disk."""
        self.stages[number] = dataclasses.replace(self.stages[number], **changes)
        self.save()
        return self.stages[number]

    def save(self) -> None:
        """Put the plan on disk."""
        plan.save(self.plan_file, self.recipe.name, self.stages)
