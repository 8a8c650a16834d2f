"""Which model a user means: a shipped one, a folder, a run's trained model, a Hub id, or an endpoint that is up.

A base model is asked without the unified system prompt and everything else with it, as the paper's evaluation does: the
prompt belongs to how a model was trained. Shipped micro models were taught with it from the start.
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
from capcurriculum.recipe import Recipe
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

    `label` is what results call it, `model` a folder or Hub id ("" for an endpoint), `backbone` the name of a backbone
    file ("" where unknown), `system` whether the system prompt goes before its questions, `weights` a digest of its
    checkpoint ("" where it cannot be told), `url` the base URL of an endpoint that is up, `run` the run it comes from,
    `remark` what is to be said of the rows that the run holds by now.
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
        """The checkpoint's folder, where it is on this machine and named by it."""
        return Path(self.model) if self.model and Path(self.model).is_dir() else None

    @property
    def base(self) -> Backbone | None:
        """Its backbone's file."""
        return backbone(self.backbone) if self.backbone else None


def find(name: str, wanted_backbone: str = "", system: bool | None = None, *, weigh: bool = True) -> Target:
    """The model that `name` means; `system` None leaves it to the rule above whether it gets the system prompt.

    Without `weigh`, weights that nobody has a digest of are not read for one.

    Raises:
        EvaluationError: there is no such model; the sentence says what can be named.
        RunError: the run it names is damaged.
        RecipeError: there is no such backbone.
    """
    found = _endpoint(name) or _shipped(name) or _folder(name, weigh) or _trained(name) or _hub(name)
    if found is None:
        raise EvaluationError(
            f"There is no model {name!r}: name micro:start, a checkpoint's folder, a run or recipe whose training is "
            "done, a Hub id, or LABEL=URL for an endpoint that is up."
        )
    if wanted_backbone:
        backbone(wanted_backbone)
        found = replace(found, backbone=wanted_backbone)
    return found if system is None else replace(found, system=system)


def backbones() -> dict[str, Backbone]:
    """All backbone files by name."""
    names = (path.name for path in (files("training") / "backbones").iterdir())
    return {name: backbone(name) for name in sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml"))}


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
    made = _made_by(folder)
    if made:
        return made
    weights = export.checkpoint_digest(folder) if weigh else ""
    return Target(folder.resolve().name, str(folder.absolute()), _guess(folder), weights=weights)


def _made_by(folder: Path) -> Target | None:
    """Of `RUN/training/STAGE/checkpoint` or `RUN/trainings/NAME/STAGE/checkpoint`."""
    for levels in (2, 3):
        place = folder.resolve().parents[levels] if len(folder.resolve().parents) > levels else folder
        if (place / "recipe.yaml").is_file():
            found = [one for one in _stages(runs.existing(place)) if Path(one.model) == folder.resolve()]
            if found:
                return found[0]
    return None


def _trained(name: str) -> Target | None:
    """The last finished stage of the training that a recipe describes, or of a run's first one."""
    path = Path(name)
    try:
        run = runs.named(name)
    except RunError:
        if path.is_file() or (path / "recipe.yaml").is_file():
            raise
        return None
    recipe = run.recipe()
    if path.is_file():
        from capcurriculum.recipe import load

        recipe = load(path)
    file = recipe.training_dir / "plan.json" if path.is_file() else next(iter(run.plans), run.path / "training")
    stages = [one for one in _stages(run) if Path(one.model).parents[1] == file.parent.resolve()]
    if not stages:
        raise EvaluationError(f"{run.path} has no trained model: {file} has no finished stage; train first.")
    return replace(stages[-1], remark=_remark(run, recipe)) if path.is_file() else stages[-1]


def _remark(run: Run, recipe: Recipe) -> str:
    """Whether the rows in the run are not those of the recipe whose model is meant; it may have been trained on either.

    The model is as it is, so this keeps nobody from asking it.
    """
    settings = recipe.training or TrainingRecipe()
    try:
        make.check_belongs(run, recipe, stage_sets.folder_of(run, recipe, settings))
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
            # By its place below the plan, not by the path in it: a run may have been moved.
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
    """The snapshot of a Hub id in this machine's cache and its commit; nothing is downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None, ""
    return folder, folder.name


def _released(tail: str) -> str:
    """The backbone of one of the paper's models, by its name."""
    plain = re.sub(r"\W+", "_", tail).lower().removesuffix("_staged")
    return plain if plain in backbones() else ""


def _guess(folder: Path) -> str:
    """The backbone of whose kind and width a checkpoint is, "" where there is none; of the micro ones that of CPUs."""
    told = config(folder)
    said = (told.get("model_type"), (told.get("text_config") or told).get("hidden_size"))
    found = [name for name, base in backbones().items() if (base.model_type, base.hidden_size) == said]
    return found[0] if found else ""


def config(folder: Path | None) -> dict[str, Any]:
    """A checkpoint's configuration, {} where there is none to read.

    Raises:
        EvaluationError: it is damaged.
    """
    if folder is None or not (folder / "config.json").is_file():
        return {}
    try:
        found = json_file.read(folder / "config.json")
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{folder / 'config.json'} is damaged; export or fetch the checkpoint again.") from error
    return found if isinstance(found, dict) else {}
