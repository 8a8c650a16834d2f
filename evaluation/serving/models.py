"""Resolve the name of a model: a shipped one, a folder, a run's trained model, a Hub id, or a running endpoint.

Base models are evaluated without the unified system prompt and all others with it, as in the paper, because the prompt
is part of how a model was trained. Shipped micro models are trained with it.
"""

import re
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from capcurriculum import prompts
from capcurriculum import run as runs
from capcurriculum.errors import EvaluationError, RunError
from capcurriculum.files import json_file
from capcurriculum.recipe import Recipe, load
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.rows import digest
from capcurriculum.run import Run
from capcurriculum.trust import endpoint_urls
from curricula import make
from datagen.micro import PREFIX, resolve
from training import plan, stage_sets
from training.checkpoints import export
from training.knobs import Backbone, backbone

_ENDPOINT = re.compile(r"([^=\s]+)=(https?://\S+)")
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_RELEASED = "VLM-CapCurriculum-"


@dataclass(frozen=True, slots=True)
class Target:
    """A model to serve or to evaluate.

    `label` is its name in results, `model` a folder or Hub id ("" for an endpoint), `backbone` the name of a backbone
    file ("" if unknown), `system` whether questions are preceded by the system prompt, `weights` a digest of its
    checkpoint ("" if unknown), `url` the base URL of a running endpoint, `run` the run that trained it, `remark` a
    sentence where the run's rows differ from those of the recipe.
    """

    label: str
    model: str
    backbone: str = ""
    system: bool = True
    weights: str = ""
    url: str = ""
    run: Run | None = None
    remark: str = ""

    @property
    def alias(self) -> str:
        """The label as a file name and a served name: `Qwen3-VL-8B-Staged` is `Qwen3_VL_8B_Staged`."""
        return re.sub(r"\W+", "_", self.label).strip("_") or "model"

    @property
    def identity(self) -> tuple[str | list[str], str]:
        """What a model adds to the digest of a set-up: its weights (else its names), and its system prompt."""
        return self.weights or [self.label, self.model], prompts.digest("system") if self.system else ""

    @property
    def folder(self) -> Path | None:
        """The checkpoint's local folder, None for a Hub id or an endpoint."""
        return Path(self.model) if self.model and Path(self.model).is_dir() else None

    @property
    def base(self) -> Backbone | None:
        """The settings of its backbone, None if unknown."""
        return backbone(self.backbone) if self.backbone else None


def find(name: str, wanted_backbone: str = "", system: bool | None = None, *, weigh: bool = True) -> Target:
    """The model called `name`; the default of `system` depends on the kind of model (see the module).

    Without `weigh` the digest of weights is left out where it would have to be computed.

    Raises:
        EvaluationError: there is no such model.
        RunError: the run is damaged.
        RecipeError: there is no such backbone.
    """
    found = _endpoint(name) or _shipped(name) or _folder(name, weigh) or _trained(name) or _hub(name)
    if found is None:
        raise EvaluationError(
            f"There is no model {name!r}: name micro:start, a checkpoint's folder, a run or recipe whose training is "
            "done, a Hub id, or LABEL=URL for a running endpoint."
        )
    if wanted_backbone:
        backbone(wanted_backbone)
        found = replace(found, backbone=wanted_backbone)
    return found if system is None else replace(found, system=system)


def backbones() -> dict[str, Backbone]:
    """All backbone files by name."""
    names = (path.name for path in (files("training") / "backbones").iterdir())
    return {name: backbone(name) for name in sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml"))}


def backbone_of(model: str) -> str:
    """The backbone file of a model with this Hub id, also one served without its owner's name; "" if there is none."""
    tails = {base.model.rpartition("/")[2].lower(): name for name, base in backbones().items() if "/" in base.model}
    return tails.get(model.rstrip("/").rpartition("/")[2].lower(), "")


def _endpoint(name: str) -> Target | None:
    given = _ENDPOINT.fullmatch(name)
    if not given:
        return None
    try:
        return Target(given[1], "", url=endpoint_urls.checked(given[2]).rstrip("/"))
    except ValueError as error:
        raise EvaluationError(
            f"The URL of the endpoint {given[1]} cannot be used: {error} (here OPENAI_API_KEY)."
        ) from error


def _shipped(name: str) -> Target | None:
    if not name.startswith(PREFIX):
        return None
    folder = Path(resolve(name))
    return Target(name, str(folder), "micro", weights=export.checkpoint_digest(folder))


def _folder(name: str, weigh: bool) -> Target | None:
    folder = Path(name)
    if not (folder / "config.json").is_file():
        return None
    if trained := _trained_in_run(folder):
        return trained
    weights = export.checkpoint_digest(folder) if weigh else ""
    return Target(folder.resolve().name, str(folder.absolute()), _guess(folder), weights=weights)


def _trained_in_run(folder: Path) -> Target | None:
    """The model in `RUN/training/STAGE/checkpoint` or `RUN/trainings/NAME/STAGE/checkpoint`."""
    resolved = folder.resolve()
    for place in resolved.parents[2:4]:
        if (place / "recipe.yaml").is_file():
            for stage in _stages(runs.existing(place)):
                if Path(stage.model) == resolved:
                    return stage
    return None


def _trained(name: str) -> Target | None:
    """The last finished stage of a recipe's training, or of a run's first training."""
    path = Path(name)
    try:
        run = runs.named(name)
    except RunError:
        if path.is_file() or (path / "recipe.yaml").is_file():
            raise
        return None
    recipe = load(path) if path.is_file() else run.recipe()
    file = recipe.training_dir / "plan.json" if path.is_file() else next(iter(run.plans), run.path / "training")
    stages = [one for one in _stages(run) if Path(one.model).parents[1] == file.parent.resolve()]
    if not stages:
        raise EvaluationError(f"{run.path} has no trained model: {file} has no finished stage; train first.")
    return replace(stages[-1], remark=_remark(run, recipe)) if path.is_file() else stages[-1]


def _remark(run: Run, recipe: Recipe) -> str:
    """The sentence that the rows of the run differ from those of the recipe, "" if they do not."""
    try:
        make.check_belongs(run, recipe, stage_sets.folder_of(run, recipe, recipe.training or TrainingRecipe()))
    except RunError as error:
        return str(error)
    return ""


def _stages(run: Run) -> list[Target]:
    """The checkpoint after every finished stage of every training of a run."""
    found = []
    recipe = run.recipe()
    for file in run.plans:
        training = file.parent.name if file.parent.parent.name == "trainings" else ""
        base = recipe.training.backbone if recipe.training else ""
        for stage in plan.load(file):
            if stage.state != plan.State.DONE:
                continue
            # Relative to the plan, since the path in it is wrong after the run was moved.
            folder = (file.parent / stage.stage / "checkpoint").resolve()
            label = " ".join(part for part in (run.path.resolve().name, training, "after", stage.stage) if part)
            found.append(Target(label, str(folder), _guess(folder) or base, weights=stage.checkpoint_digest, run=run))
    return found


def _hub(name: str) -> Target | None:
    if not _HUB.fullmatch(name):
        return None
    known = {base.model: key for key, base in backbones().items()}
    folder, commit = _cached(name)
    tail = name.rpartition("/")[2].removeprefix(_RELEASED)
    guessed = known.get(name) or (_guess(folder) if folder else _released(tail))
    weights = digest("hub", name, commit) if commit else ""
    return Target(tail, name, guessed, system=name not in known, weights=weights)


def _cached(name: str) -> tuple[Path | None, str]:
    """The snapshot of a Hub id in the local cache, and its commit; nothing is downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None, ""
    return folder, folder.name


def _released(tail: str) -> str:
    """The backbone of a model that the paper released, by its name."""
    plain = re.sub(r"\W+", "_", tail).lower().removesuffix("_staged")
    return plain if plain in backbones() else ""


def _guess(folder: Path) -> str:
    """The first backbone with the model type and hidden size of a checkpoint, "" if there is none."""
    values = config(folder)
    kind = (values.get("model_type"), (values.get("text_config") or values).get("hidden_size"))
    return next((name for name, base in backbones().items() if (base.model_type, base.hidden_size) == kind), "")


def config(folder: Path | None) -> dict[str, Any]:
    """The `config.json` of a checkpoint, {} if there is none; raises `EvaluationError` where it is damaged."""
    if folder is None or not (folder / "config.json").is_file():
        return {}
    try:
        found = json_file.read(folder / "config.json")
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{folder / 'config.json'} is damaged; export or fetch the checkpoint again.") from error
    return found if isinstance(found, dict) else {}
