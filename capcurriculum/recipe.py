"""One YAML file describes a whole build and training; unknown keys are errors.

The resolved recipe is the identity of a run. `identity()` leaves out the keys that cannot change a result (the table
`NO_EFFECT`), and a run refuses to go on under a recipe whose identity differs, naming every key that does.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from capcurriculum.errors import RecipeError
from capcurriculum.prompts import SKILLS
from capcurriculum.recipe_curriculum import CurriculumSection
from capcurriculum.recipe_filters import DEFAULT, AnyFilter, check_filters
from capcurriculum.recipe_models import MODEL_NO_EFFECT, ModelSection
from capcurriculum.recipe_publish import PublishSection
from capcurriculum.recipe_ray import RaySection
from capcurriculum.recipe_sampling import SamplingSection
from capcurriculum.recipe_sources import SOURCE_NO_EFFECT, StageSources, check_stage
from capcurriculum.recipe_training import TrainingRecipe
from capcurriculum.rows import Stage

#: Dotted keys (`*`: any one name) that a resumed run may change: they say where and how fast, not what.
NO_EFFECT: tuple[str, ...] = (
    "runs",
    *(f"models.*.{key}" for key in MODEL_NO_EFFECT),
    *SOURCE_NO_EFFECT,
    "curriculum",
    "training",
    "filters",  # a verdict carries the digest of what its filter was told; no model is asked again for another list
    "ray",
    "publish",
)


class Section(BaseModel):
    """A part of a recipe: immutable, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherSection(Section):
    """Who writes the questions, how many an image, about what, and how often a refused reply is asked again.

    A teacher that `sees` the caption alone is a text model, as in the paper; one that sees the image too is a VLM.
    """

    model: str
    sees: Literal["caption", "image_and_caption"] = "caption"
    questions: Annotated[int, Field(ge=1, le=4)] = 1
    skills: dict[str, PositiveInt] = {"spatial": 1, "attribute": 1, "count": 1}
    tries: PositiveInt = 3
    sampling: SamplingSection = SamplingSection()
    retry_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7

    @model_validator(mode="after")
    def _skills_known(self) -> "TeacherSection":
        unknown = sorted(set(self.skills) - set(SKILLS))
        if unknown or not self.skills:
            raise ValueError(f"skills must be some of {', '.join(SKILLS)}; not {', '.join(unknown) or 'none'}")
        return self


class ProbeSection(Section):
    """Which solvers answer, on which arms, and whether each question is also asked with its options rotated by one.

    The perception rule needs the arms image and caption. Blind (the question alone) and swapped (another image) tell
    how much of an answer needs no seeing.
    """

    solvers: Annotated[tuple[str, ...], Field(min_length=1)]
    arms: tuple[Literal["image", "caption", "blind", "swapped"], ...] = ("image", "caption", "blind", "swapped")
    other_order: bool = False
    sampling: SamplingSection = SamplingSection()

    @model_validator(mode="after")
    def _rule_can_judge(self) -> "ProbeSection":
        if not {"image", "caption"} <= set(self.arms):
            raise ValueError("arms must hold image and caption, which the perception rule compares")
        return self


class PerceptionSection(StageSources):
    """Captioned images and everything that turns them into questions."""

    teacher: TeacherSection
    probe: ProbeSection


class ProblemSection(StageSources):
    """Problems that come with gold answers."""


class RolloutSection(Section):
    """The pass rate: K replies of the model that will be trained, and which pass rates are kept.

    A row is kept if `above` < pass rate < `below`; without a bound on a side, that side drops nothing. `stop` says when
    fewer than K replies will do:

    - `never`: every row gets all K;
    - `decided`: as soon as the remaining replies cannot change whether the row is kept (for runs that only select);
    - `dropped`: as `decided`, but rows that are kept get all K, or as many as make their 95 % interval narrower than
      `interval`, since they are ordered by pass rate.
    """

    model: str
    k: PositiveInt = 16
    sampling: SamplingSection = SamplingSection(temperature=0.7, top_p=0.9, top_k=20)
    above: Annotated[float, Field(ge=0, lt=1)] | None = None
    below: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Literal["never", "decided", "dropped"] = "never"
    chunk: PositiveInt = 4
    interval: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> "RolloutSection":
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError("above must be smaller than below")
        if self.interval is not None and self.stop != "dropped":
            raise ValueError("interval has a meaning only with stop: dropped")
        return self


class SplitSection(Section):
    """Shares that a stable hash of the image (of the problem, where there is none) sends to validation and test."""

    val: Annotated[float, Field(ge=0, lt=1)] = 0.05
    test: Annotated[float, Field(ge=0, lt=1)] = 0.10

    @model_validator(mode="after")
    def _train_left(self) -> "SplitSection":
        if self.val + self.test >= 1:
            raise ValueError("val + test must leave a share for train")
        return self


class Recipe(Section):
    """A whole build and training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    seed: int = 0
    runs: str = "runs"
    models: dict[str, ModelSection]
    perception: PerceptionSection | None = None
    text: ProblemSection | None = None
    visual: ProblemSection | None = None
    rollouts: RolloutSection
    filters: tuple[AnyFilter, ...] = DEFAULT
    split: SplitSection = SplitSection()
    curriculum: CurriculumSection = CurriculumSection()
    training: TrainingRecipe | None = None
    ray: RaySection = RaySection()
    publish: PublishSection = PublishSection()

    @model_validator(mode="after")
    def _sources_fit(self) -> "Recipe":
        for stage in Stage:
            check_stage(stage, getattr(self, stage))
        return self

    @property
    def run_dir(self) -> Path:
        """Where the build and the training of this recipe live."""
        return Path(self.runs) / self.name

    @property
    def asked(self) -> frozenset[str]:
        """The models that write, probe and roll out."""
        if self.perception is None:
            return frozenset({self.rollouts.model})
        return frozenset({self.rollouts.model, self.perception.teacher.model, *self.perception.probe.solvers})

    @model_validator(mode="after")
    def _models_defined(self) -> "Recipe":
        missing = sorted((self.asked | set(self.ray.models)) - set(self.models))
        if missing:
            raise ValueError(f"models has no entry for {', '.join(missing)}")
        if not (self.perception or self.text or self.visual):
            raise ValueError("at least one of perception, text, visual is needed")
        return self

    @model_validator(mode="after")
    def _filters_fit(self) -> "Recipe":
        check_filters(self)
        return self


def load(path: Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: the file is missing, not YAML, or does not describe a recipe; the sentence names each key.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read ({error.strerror}); check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} is not valid YAML: {' '.join(str(error).split())}.") from error
    return parse(data, str(path))


def parse(data: object, name: str) -> Recipe:
    """Check an already loaded recipe; `name` is what the error calls it."""
    if not isinstance(data, dict):
        raise RecipeError(f"The recipe {name} must be a mapping of keys, and it is a {type(data).__name__}.")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"The recipe {name} is not right: {wrong}.") from error


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def identity(recipe: Recipe) -> dict[str, Any]:
    """Dotted key -> value for every key that can change a result.

    A model that nobody but an auditor asks is left out: its votes carry a digest of it.
    """
    data = recipe.model_dump(mode="json")
    data["models"] = {name: model for name, model in data["models"].items() if name in recipe.asked}
    return {key: value for key, value in _flatten(data, "").items() if not _no_effect(key)}


def differences(before: Recipe, after: Recipe) -> list[str]:
    """Dotted keys whose values differ and matter, each as `key: before -> after`."""
    old, new = identity(before), identity(after)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [f"{key}: {old.get(key, '(absent)')} -> {new.get(key, '(absent)')}" for key in keys]


def _flatten(value: object, prefix: str) -> dict[str, Any]:
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        value = {str(place): inner for place, inner in enumerate(value)}
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _no_effect(key: str) -> bool:
    parts = key.split(".")
    return any(
        len(pattern) <= len(parts) and all(p in ("*", q) for p, q in zip(pattern, parts, strict=False))
        for pattern in (entry.split(".") for entry in NO_EFFECT)
    )
