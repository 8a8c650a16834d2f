"""The links of a chain: each stage's data, knobs and folders, and their common plan.

A link is drafted from the current recipe and data and reconciled with the plan on disk, so `Links` holds only what may
be run. Nothing is started here.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from training import captions, interpreter, plan, selection, stage_files, stage_sets, supported_models
from training.checkpoints import export, first_parent
from training.knobs import Backbone, backbone, resolve
from training.link import Link, passes
from training.on_verl import config as grpo
from training.on_verl import environment, overrides, sft
from training.plan import StagePlan, State
from training.preflight.inspection import Inspection, LinkData, recorded
from training.preflight.machine import need
from training.preflight.machine.need import LinkNeed
from training.preflight.rows.captioned import CaptionData
from training.refresh import files as refreshed
from training.refresh import task as refreshing
from training.refresh import wanted
from training.refresh.files import Refreshed
from training.refresh.task import Task


class Links:
    """The chain of one recipe: what its stages share, the links, and their plan."""

    def __init__(
        self,
        recipe: Recipe,
        settings: TrainingRecipe,
        display: Display | None = None,
        inspection: Inspection | None = None,
        only: str | None = None,
    ) -> None:
        """Draft the links and reconcile them with the plan; given a `display`, a missing order is written first.

        An `inspection` checks the rows of links that are not done, or of the stage `only`. If it writes nothing, the
        first parent's weights may be missing; `absent` is then the error, else "".
        """
        self.recipe = recipe
        self.settings = settings
        self.base: Backbone = backbone(settings.backbone)
        self.device = settings.device or self.base.device
        self.python = interpreter.locate(settings)
        self.folder = recipe.training_dir.absolute()
        self.plan_file = self.folder / "plan.json"
        self.order = stage_sets.section(recipe, settings.order)
        self.first_parent, self.absent = self._locate_parent(must_exist=inspection is None or inspection.write)
        unknown = "" if settings.model and not self.absent else self.base.processor
        self.processor = supported_models.processor(self.first_parent) or unknown
        supported_models.check_processor(self.processor, settings.model or settings.backbone)
        self.sets = stage_sets.find(recipe, settings, display)
        self.refreshing = wanted.stages(recipe, settings, self.sets, settings.model or self.base.model)
        self.first_rewarded = next((found.run.stage for found in self.sets if found.run.method == "grpo"), "")
        links = [self._link(found) for found in self.sets]
        self._checked = [self._with_files(link, inspection, only) for link in links]
        begun = [self._reset_unsaved(stage) for stage in plan.load(self.plan_file)]
        self.links = [self._as_refreshed(number, begun) for number in range(len(links))]
        self.stages = plan.reconcile([self._draft(link) for link in self.links], begun)

    def _locate_parent(self, *, must_exist: bool) -> tuple[Path, str]:
        """The first parent's folder, and "" or the error if it is missing."""
        model = self.settings.model or self.base.model
        if not self.settings.model:  # before users download its weights
            supported_models.check_processor(self.base.processor, self.settings.backbone)
        try:
            return first_parent.locate(model), ""
        except TrainerError as error:
            if must_exist:
                raise
            return Path(model), str(error)

    def _reset_unsaved(self, stage: StagePlan) -> StagePlan:
        """A stage that ended before its first save may begin anew with other settings."""
        unfinished = stage.state in (State.RUNNING, State.FAILED)
        if unfinished and export.last_step(self.folder / stage.stage / "trainer") == 0:
            return dataclasses.replace(stage, state=State.PENDING)
        return stage

    def _link(self, found: stage_sets.LinkSet) -> Link:
        taught = files = stage_files.set_files(found.run.stage, found.folders)
        folder, knobs = self.folder / found.run.stage, resolve(self.settings, found.run)
        supported_models.check_split(self.processor, found.run.stage, knobs.sequence_parallel)
        if found.run.method == "sft":
            files = captions.files(Run(self.recipe.run_dir), taught, folder / "captions", knobs)
            return Link(found.run, knobs, files, taught, folder)
        select = found.run.select or self.settings.select
        selection.check(select, knobs, found.run.stage)
        if knobs.validate_every and not files.val:
            raise RecipeError(
                f"Stage {found.run.stage} is to be validated every {knobs.validate_every} steps and has no validation "
                f"rows; build with a share for them (split.val), or set training.knobs.validate_every to 0."
            )
        if self.settings.validate_on == "all" and not knobs.validate_every:
            raise RecipeError(
                f"Stage {found.run.stage} is to be validated on all stages' rows and never is; set "
                f"training.knobs.validate_every to a number of steps, or leave training.validate_on out."
            )
        if knobs.shuffle and stage_sets.shuffling_undoes(self.order):
            raise RecipeError(
                f"Knob shuffle draws the rows of {found.run.stage} anew each epoch and so undoes their order; set "
                f"training.order to merged or capability, or leave shuffle out."
            )
        if self.settings.refresh and found.run.stage in self.refreshing:
            wanted.check_order(self.settings.refresh, found.run.stage, knobs, found.folders, self.order)
        return Link(found.run, passes(knobs, found), files, taught, folder, select)

    def _with_files(self, link: Link, inspection: Inspection | None, only: str | None) -> Link:
        """Check the rows; returns the link with the files that its trainer reads."""
        done = {stage.stage for stage in plan.load(self.plan_file) if stage.state == State.DONE}
        checked = inspection if link.run.stage not in done and only in (None, link.run.stage) else None
        keys = self.config(link, self.first_parent, 0)
        if link.captions:  # its set's prompts and rewards are not used
            if checked is not None:
                checked.captions(self._caption_data(link, int(keys["data.max_length"])))
            return link
        data = LinkData(link.files, keys, self.base.image_patch_size, self.first_parent, link.folder)
        files = recorded(data, self.settings.preflight) if checked is None else checked.files(data)
        return dataclasses.replace(link, files=files)

    def _as_refreshed(self, number: int, begun: Sequence[StagePlan]) -> Link:
        """A link with the files of its refresh, if they are there.

        A begun link has those it was begun with; what else has changed since is for the plan to say. Another has those
        for the checkpoint that it starts from, as it would be asked now.
        """
        link, task = self._checked[number], self._refresh(number)
        if task is None or not task.folder.is_dir():
            return link
        own = begun[number] if number < len(begun) else None
        if own is not None and own.begun:
            by = own.refreshed_by
        elif number:
            before = begun[number - 1] if number <= len(begun) else None
            by = task.solver(before.checkpoint_digest) if before and before.state == State.DONE else ""
        else:
            by = "" if self.absent else task.solver(export.checkpoint_digest(self.first_parent))
        made = refreshed.recorded(link.files, by, task.bound, task.folder) if by else None
        return dataclasses.replace(link, files=made.files, refreshed=made) if made else link

    def _refresh(self, number: int) -> Task | None:
        """The refresh of a link, of the rows that its preflight left; None if none is wanted."""
        link, section, settings = self._checked[number], self.settings.refresh, self.settings
        if section is None or link.run.stage not in self.refreshing:
            return None
        parent, name, knobs = self.first_parent, settings.model or self.base.model, link.knobs
        if number:
            before = self._checked[number - 1]
            parent, name = before.exported, f"{self.folder.name}/{before.run.stage}"
        gpus = settings.gpus or self.base.gpus
        return Task(
            stage=link.run.stage,
            run=Run(self.recipe.run_dir),
            recipe=self.recipe,
            files=link.files,
            folder=link.folder / "refresh",
            section=section,
            checkpoint=parent,
            name=name,
            model=refreshing.model(self.recipe, self.base, knobs, self.device, parent),
            sampling=refreshing.sampling(knobs),
            batch=knobs.batch_size,
            workers=max(1, gpus // knobs.tensor_parallel) if self.device == "cuda" else 1,
            python=self.python,
            environment=self._environment(),
        )

    def refresh(self, number: int) -> Task | None:
        """The refresh that is due before a link is trained; None if it is done, or none is wanted."""
        made = self.links[number].refreshed
        return None if made and made.whole else self._refresh(number)

    def take(self, number: int, made: Refreshed) -> None:
        """Have a link read the files of its refresh; one that has begun reads the same again.

        Raises:
            TrainerError: it has begun with other rows.
        """
        self.links[number] = dataclasses.replace(self.links[number], files=made.files, refreshed=made)
        draft, before = self._draft(self.links[number]), self.stages[number]
        (self.stages[number],) = plan.reconcile([draft], [before])

    def _caption_data(self, link: Link, limit: int) -> CaptionData:
        run, taught = Run(self.recipe.run_dir), link.taught
        found = [captions.by_question(run, paths, taught.stage) for paths in (taught.train, taught.val)]
        pixels = {"data.min_pixels": link.knobs.min_pixels, "data.max_pixels": link.knobs.max_pixels}
        return CaptionData(taught, found[0] | found[1], limit, pixels, self.first_parent)

    def _draft(self, link: Link) -> StagePlan:
        knobs, files = link.knobs, link.files
        per_epoch, total = plan.total_steps(files.rows, knobs.batch_size, knobs.epochs, knobs.max_steps, link.run.stage)
        keys = self.config(link, self.first_parent, total)
        config = sft.identity(keys, knobs) if link.captions else overrides.identity(keys)
        if link.select != "last":
            config["select"] = link.select
        section = self.settings.refresh if link.run.stage in self.refreshing else None
        made = link.refreshed or Refreshed(files, "", files.rows, files.rows * section.k if section else 0)
        return StagePlan(
            stage=link.run.stage,
            state=State.PENDING,
            dataset_digest=files.digest,
            config_digest=plan.config_digest(config),
            config=config,
            rows=files.rows,
            batch_size=knobs.batch_size,
            rollouts=0 if link.captions else knobs.rollouts,
            epochs=knobs.epochs,
            steps_per_epoch=per_epoch,
            total_steps=total,
            refresh=refreshing.bound(section) if section else None,
            refreshed_by=made.by,
            refresh_rows=made.rows if section else 0,
            refresh_rollouts=made.rollouts,
        )

    def config(self, link: Link, parent: Path, total: int) -> dict[str, Any]:
        """verl's keys for a link that starts from `parent` and makes `total` steps."""
        paths = grpo.Paths(link.files.train, self._validated_on(link), parent, link.checkpoints, link.validation)
        if link.captions:
            return sft.config(self.settings, self.base, link.run, link.knobs, paths, total)
        first = link.run.stage == self.first_rewarded
        keys = grpo.config(self.settings, self.base, link.run, link.knobs, paths, total, first=first)
        return keys | overrides.runtime_env(supported_models.variables(self.processor, self.device))

    def _validated_on(self, link: Link) -> tuple[Path, ...]:
        """The validation files of a link: its own, or those of all sets of the chain."""
        if link.captions or self.settings.validate_on == "own":
            return link.files.val or link.files.train  # verl reads validation files even if it never validates
        return tuple(dict.fromkeys(path for found in self.sets for path in stage_files.val_files(found.folders)))

    def own_keys(self, number: int) -> bool:
        """Whether the recipe sets keys of verl's configuration for a link."""
        link = self.links[number]
        return bool(link.run.verl or (self.settings.verl and not link.captions))

    def need(self, number: int) -> LinkNeed:
        """What a link needs of the machine, for the preflight's estimates."""
        link, stage = self.links[number], self.stages[number]
        keys = self.config(link, self.parent(number), stage.total_steps)
        of = need.of_captions if link.captions else need.of_grpo
        found = of(stage.stage, stage.total_steps, link.checkpoints, keys)
        adapters = need.Adapters(link.knobs.lora_rank, link.knobs.lora_modules) if link.knobs.lora_rank else None
        return dataclasses.replace(found, stays=self.settings.keep_trainer_state, adapters=adapters)

    def parent(self, number: int) -> Path:
        """The checkpoint that a link starts from; it may not exist yet."""
        return self.links[number - 1].exported if number else self.first_parent

    def words(self, number: int) -> list[str]:
        """The trainer's configuration of a link as hydra overrides."""
        link = self.links[number]
        keys = self.config(link, self.parent(number), self.stages[number].total_steps)
        return overrides.arguments(keys, sft.ADDED) if link.captions else overrides.arguments(keys)

    def command(self, number: int) -> list[str]:
        """The command that trains a link."""
        link = self.links[number]
        words = [*self.words(number), *overrides.arguments({"hydra.run.dir": str(link.folder / "hydra")})]
        if link.captions:
            return sft.command(self.python, self.settings.gpus or self.base.gpus, words)
        return [self.python, "-m", "verl.trainer.main_ppo", *words]

    def variables(self, number: int) -> dict[str, str]:
        """The environment of that command."""
        link = self.links[number]
        variables = self._environment()
        return variables | (sft.variables(link.knobs) if link.captions else {})

    def _environment(self) -> dict[str, str]:
        """The variables of all links."""
        variables = environment.trainer_environment(self.device, self.settings.logger)
        if not (self.settings.ray or "RAY_ADDRESS" in variables):
            variables |= environment.ALONE
        return variables | supported_models.variables(self.processor, self.device)

    def prepare(self, number: int) -> None:
        """Write the files of a link that trains on captions, unless they are there."""
        link = self.links[number]
        if link.captions:
            captions.write(Run(self.recipe.run_dir), link.taught, link.files, link.knobs)

    def record(self, number: int, **changes: Any) -> StagePlan:
        """Change a stage and save the plan."""
        self.stages[number] = dataclasses.replace(self.stages[number], **changes)
        self.save()
        return self.stages[number]

    def save(self) -> None:
        """Save the plan."""
        plan.save(self.plan_file, self.recipe.name, self.stages)
