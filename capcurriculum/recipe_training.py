"""The `training` section of a recipe: which backbone, through which stages, with which knobs.

A recipe says only what differs from its backbone (`training/backbones/<name>.yaml`); `training.overrides` merges the
layers in one order, later wins: backbone, backbone's stage, recipe, recipe's stage. This module is pydantic only, so
reading a recipe never imports torch, verl or ray.
"""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from capcurriculum.recipe_reward import RewardSection
from capcurriculum.rows import Stage

Fraction = Annotated[float, Field(ge=0, le=1)]


class TrainingSection(BaseModel):
    """A part of the section: immutable, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KnobChanges(TrainingSection):
    """The knobs that a layer changes; what is left out keeps the value of the layer below.

    Batch sizes count prompts, micro-batches count sequences on one GPU, lengths count tokens.
    """

    epochs: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    mini_batch_size: PositiveInt | None = None
    update_micro_batch: PositiveInt | None = None
    log_prob_micro_batch: PositiveInt | None = None
    rollouts: Annotated[int, Field(ge=2)] | None = None
    temperature: PositiveFloat | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_prompt_tokens: PositiveInt | None = None
    max_response_tokens: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    warmup: Fraction | None = None
    weight_decay: NonNegativeFloat | None = None
    grad_clip: PositiveFloat | None = None
    kl_coef: NonNegativeFloat | None = None
    clip_low: PositiveFloat | None = None
    clip_high: PositiveFloat | None = None
    accuracy_weight: Fraction | None = None
    format_weight: Fraction | None = None
    save_every: PositiveInt | None = None
    validate_every: NonNegativeInt | None = None
    keep_checkpoints: PositiveInt | None = None
    offload_optimizer: bool | None = None
    gpu_memory: Annotated[float, Field(gt=0, lt=1)] | None = None
    tensor_parallel: PositiveInt | None = None


class StageRun(TrainingSection):
    """One link of the chain: a stage's rows, and what its run changes."""

    stage: Stage
    knobs: KnobChanges = KnobChanges()


class TrainingRecipe(TrainingSection):
    """A chain of GRPO runs, each starting from the checkpoint of the one before.

    `model` is the first parent: a checkpoint folder, a Hub id, or `micro:NAME` for one shipped with the package; empty
    means the backbone's own. `stall_minutes` is how long the trainer may print nothing before it counts as hung.
    """

    backbone: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] = "micro"
    model: str = ""
    device: Literal["cpu", "cuda"] | None = None
    gpus: PositiveInt | None = None
    nodes: PositiveInt = 1
    seed: int = 42
    stages: Annotated[tuple[StageRun, ...], Field(min_length=1)] = tuple(StageRun(stage=s) for s in Stage)
    knobs: KnobChanges = KnobChanges()
    reward: RewardSection = RewardSection()
    stall_minutes: PositiveFloat = 20

    @model_validator(mode="after")
    def _stages_once(self) -> "TrainingRecipe":
        names = [run.stage for run in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each stage may be trained once; {', '.join(twice)} is listed twice")
        return self
