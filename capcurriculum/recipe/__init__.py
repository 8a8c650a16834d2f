"""One YAML file describes a whole build and training; unknown keys are errors.

The resolved recipe is the identity of a run. `identity()` leaves out the keys that cannot change a result (the table
`NO_EFFECT`), and a run refuses to go on under a recipe whose identity differs, naming every key that does.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError
from capcurriculum.recipe import extends
from capcurriculum.recipe.base import Section, matching
from capcurriculum.recipe.curriculum import CurriculumSection
from capcurriculum.recipe.filters import DEFAULT, AnyFilter, check_filters
from capcurriculum.recipe.models import FREE, MODEL_NO_EFFECT, ModelSection, RaySection, undefined
from capcurriculum.recipe.publish import EvaluationSection, PublishSection
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.recipe.sources import SOURCE_NO_EFFECT, StageSources, check_stage
from capcurriculum.recipe.stages import Capability, PerceptionSection, ProblemSection, StageName
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.rows import Stage
from capcurriculum.validation import faults

#: Dotted keys (`*`: any one name) that a resumed run may change: they say where and how fast, not what.
NO_EFFECT: tuple[str, ...] = (
    "runs",
    *(f"models.*.{key}" for key in MODEL_NO_EFFECT),
    *SOURCE_NO_EFFECT,
    "perception.probe.stop",  # which replies there are, and not what they say
    "perception.probe.control",
    "perception.probe.again",
    "capabilities.*.probe.stop",
    "capabilities.*.probe.control",
    "capabilities.*.probe.again",
    "curriculum",
    "training",
    "filters",  # a verdict carries the digest of the parameters of its filter; no model is asked again for another list
    "ray",
    "review",  # as with filters: a changed rule judges the same reviews anew
    "publish",
    "evaluation",
)
#: Characters of a value in a sentence on what differs.
_LONGEST_SHOWN = 80
_NO_EFFECT = [entry.split(".") for entry in NO_EFFECT]


class SplitSection(Section):
    """Shares that a stable hash of the image (of the problem, where there is none) sends to validation and test."""

    val: Annotated[float, Field(ge=0, lt=1)] = 0.05
    test: Annotated[float, Field(ge=0, lt=1)] = 0.10

    @model_validator(mode="after")
    def _train_left(self) -> "SplitSection":
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}; it must be below 1 to leave rows for train")
        return self


#: What a run may be called: the name of a folder on every system.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Recipe(Section):
    """A whole build and training."""

    name: Annotated[str, matching(NAME, "at most 64 letters, digits, . _ and -, a letter or digit first")]
    seed: int = 0
    runs: str = "runs"
    models: dict[str, ModelSection]
    perception: PerceptionSection | None = None
    text: ProblemSection | None = None
    visual: ProblemSection | None = None
    capabilities: dict[StageName, Capability] = {}
    rollouts: RolloutSection
    filters: Annotated[tuple[AnyFilter, ...], Field(validate_default=True)] = DEFAULT  # type: ignore[assignment]
    split: SplitSection = SplitSection()
    curriculum: CurriculumSection = CurriculumSection()
    training: TrainingRecipe | None = None
    ray: RaySection = RaySection()
    review: ReviewSection = ReviewSection()
    publish: PublishSection = PublishSection()
    evaluation: EvaluationSection = EvaluationSection()

    @field_validator("filters")
    @classmethod
    def _capabilities_filtered(cls, filters: tuple[AnyFilter, ...], info: ValidationInfo) -> tuple[AnyFilter, ...]:
        kinds = {name: Stage(one.kind) for name, one in info.data.get("capabilities", {}).items()}
        return tuple(section.over(kinds) for section in filters)

    @model_validator(mode="after")
    def _sources_fit(self) -> "Recipe":
        if not self.stages:
            raise ValueError("there is no stage; add perception, text, visual or capabilities, each with its source")
        for stage, section in self.stages.items():
            check_stage(self.place(stage), self.kind(stage), section)
        return self

    @model_validator(mode="after")
    def _stages_known(self) -> "Recipe":
        if taken := sorted(set(self.capabilities) & set(Stage)):
            raise ValueError(f"{', '.join(taken)} is a stage of its own; give the capability another name")
        named: dict[str, Iterable[str]] = {f"the filter {one.name}": one.stages for one in self.filters}
        named |= {f"the order {order.folder}": order.stages for order in self.curriculum.orders}
        if self.training and not self.training.order:  # else these are sets of that order, which may have other names
            named["training"] = [run.stage for run in self.training.stages]
        for who, stages in named.items():
            if unknown := [stage for stage in stages if stage not in {*Stage, *self.capabilities}]:
                known = (*map(str, Stage), *self.capabilities)
                raise ValueError(
                    f"{who} names the stage {unknown[0]}, and there is none{meant(unknown[0], known)}; stages are "
                    f"{', '.join(known)}"
                )
        if self.curriculum.stages and sorted(self.curriculum.stages) != sorted(self.stages):
            raise ValueError(f"curriculum.stages must name each stage of the recipe once: {', '.join(self.stages)}")
        return self

    @property
    def run_dir(self) -> Path:
        """Where the build and the training of this recipe live."""
        return Path(self.runs) / self.name

    @property
    def training_dir(self) -> Path:
        """Where the training of this recipe lives: `training/`, or below `trainings/` for one with a name."""
        name = self.training.name if self.training else ""
        return self.run_dir / "trainings" / name if name else self.run_dir / "training"

    @property
    def stages(self) -> dict[str, StageSources]:
        """Name -> section of the stages that the recipe has: the built-in ones, then its capabilities as written."""
        built_in = {str(stage): getattr(self, stage) for stage in Stage}
        return {stage: section for stage, section in built_in.items() if section is not None} | self.capabilities

    @property
    def captioned(self) -> dict[str, PerceptionSection]:
        """Those of its stages whose questions a teacher writes from captions."""
        return {stage: section for stage, section in self.stages.items() if isinstance(section, PerceptionSection)}

    @property
    def taught(self) -> tuple[str, ...]:
        """All stages by name in the order they are taught; built-in ones that the recipe does not have among them."""
        return self.curriculum.stages or (*map(str, Stage), *self.capabilities)

    def kind(self, stage: str) -> Stage:
        """The built-in stage that a stage is made in the way of; its own, if it is one."""
        return Stage(self.capabilities[stage].kind if stage in self.capabilities else stage)

    def place(self, stage: str) -> str:
        """The dotted key of a stage's section."""
        return f"capabilities.{stage}" if stage in self.capabilities else stage

    @property
    def asked(self) -> frozenset[str]:
        """The models that write, probe and roll out."""
        made = self.captioned.values()
        solvers = (solver for section in made for solver in section.probe.solvers)
        return frozenset({self.rollouts.model, *(section.teacher.model for section in made), *solvers})

    @model_validator(mode="after")
    def _models_defined(self) -> "Recipe":
        wanted: dict[str, Iterable[str]] = {"rollouts.model": [self.rollouts.model], "ray.models": self.ray.models}
        for stage, section in self.captioned.items():
            wanted[f"{self.place(stage)}.teacher.model"] = [section.teacher.model]
            wanted[f"{self.place(stage)}.probe.solvers"] = section.probe.solvers
        if missing := [text for place, names in wanted.items() for text in undefined(place, names, self.models)]:
            raise ValueError("; ".join(missing))
        return self

    @model_validator(mode="after")
    def _filters_fit(self) -> "Recipe":
        check_filters(self)
        return self


def load(path: Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: the file (or one it extends) is missing, not YAML, or does not describe a recipe; the sentence
            names each key.
    """
    return parse(extends.read(path), str(path))


def parse(data: object, name: str) -> Recipe:
    """Check an already loaded recipe; `name` is what the error calls it."""
    if not isinstance(data, dict):
        kind = "is empty" if data is None else f"is a {'list' if isinstance(data, list) else 'single value'}"
        raise RecipeError(
            f"The recipe {name} {kind}, and must be a mapping of keys such as `name: demo`; docs/recipes.md has all."
        )
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"The recipe {name} is not right: {faults(error, Recipe, data)}.") from error


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out."""
    data = recipe.model_dump(mode="json")
    text: str = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    return text


def identity(recipe: Recipe) -> dict[str, Any]:
    """Dotted key -> value for every key that can change a result.

    A model that only auditors ask is left out: its votes carry a digest of it.
    """
    data = recipe.model_dump(mode="json")
    data["models"] = {name: model for name, model in data["models"].items() if name in recipe.asked}
    for model in data["models"].values():
        # As one text each: taken apart, a key that is null would look like one that is not there, and true like 1.
        model |= {key: json.dumps(dict(sorted(model[key].items()))) for key in FREE}
    if not recipe.capabilities:
        del data["capabilities"]  # so that runs from before there were any are the same
    return {key: value for key, value in _flatten(data, "").items() if not _no_effect(key)}


def differences(before: Recipe, after: Recipe) -> list[str]:
    """Dotted keys whose values differ and matter, each as `key: before -> after`."""
    old, new = identity(before), identity(after)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [f"{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in keys]


def _shown(values: Mapping[str, Any], key: str) -> str:
    """A value in a sentence; of a long text its beginning."""
    text = str(values.get(key, "(absent)"))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"


def _flatten(value: object, prefix: str) -> dict[str, Any]:
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        value = {str(place): inner for place, inner in enumerate(value)}
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


@lru_cache(4096)
def _no_effect(key: str) -> bool:
    parts = key.split(".")
    return any(
        len(pattern) <= len(parts) and all(p in ("*", q) for p, q in zip(pattern, parts, strict=False))
        for pattern in _NO_EFFECT
    )
