"""The knobs of one stage's run, merged from layers, later wins: backbone, backbone's stage, recipe, recipe's stage.

Knobs have no defaults: a backbone file that omits one is an error, so a run never depends on the trainer's defaults.
Batch sizes that do not divide, at which the trainer would fail in step 1, are refused here.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import RecipeError
from capcurriculum.recipe.curriculum import STAGED, Kind
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe, checked_backbone
from capcurriculum.validation import faults

#: The backbone's layer for sets that mix stages.
MIXED = "merged"


class Knobs(BaseModel):
    """Units: batch sizes in prompts per step, micro-batches in sequences per GPU, lengths in tokens, periods in steps.

    `tokens_per_gpu` is the budget of one forward pass in tokens of prompts and replies; 0 means micro-batches, whose
    sizes are per group of `sequence_parallel` GPUs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int
    max_steps: int | None = None
    batch_size: int
    mini_batch_size: int
    tokens_per_gpu: int
    update_micro_batch: int
    log_prob_micro_batch: int
    rollouts: int
    temperature: float
    top_p: float
    val_rollouts: int
    val_temperature: float
    val_top_p: float
    max_prompt_tokens: int
    max_response_tokens: int
    min_pixels: int
    max_pixels: int
    shuffle: bool
    freeze: str
    learning_rate: float
    schedule: str
    warmup: float
    min_lr_ratio: float
    weight_decay: float
    grad_clip: float
    kl_coef: float
    clip_low: float
    clip_high: float
    lora_rank: int
    lora_alpha: int
    lora_modules: tuple[str, ...]
    accuracy_weight: float
    format_weight: float
    save_every: int
    validate_every: int
    keep_checkpoints: int
    offload_optimizer: bool
    offload_parameters: bool
    gpu_memory: float
    tensor_parallel: int
    sequence_parallel: int

    @property
    def lora_targets(self) -> str:
        """The regular expression of `lora_modules` that PEFT matches with full names of modules."""
        return f".*language_model.*[.]({'|'.join(self.lora_modules)})"


class Backbone(BaseModel):
    """A file of `training/backbones/`: a model, the machine it is trained on, and its knobs.

    `stages` are layers by the name of the set, `merged` for sets that mix stages, `sft` for captions; `scripts` are
    further layers with the numbers of the released scripts where they differ from the paper (`training.as_in`).
    `processor` is the class of the model's processor. `model_type` and the text model's `hidden_size` are those of its
    config.json, by which its checkpoints are recognized. `template` are arguments of its chat template in training,
    evaluation and serving. With `fused_kernels` verl computes log-probabilities from hidden states in chunks, without
    the logits of a whole pass in memory; it has these kernels for Qwen-VL.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    processor: str
    model_type: str
    hidden_size: int
    template: dict[str, bool] = {}
    device: Literal["cpu", "cuda"]
    gpus: Annotated[int, Field(ge=1)]
    image_patch_size: int
    dtype: Literal["float32", "bfloat16"]
    fused_kernels: bool
    knobs: KnobChanges
    stages: dict[str, KnobChanges] = {}
    scripts: dict[str, KnobChanges] = {}


@cache
def backbone(name: str) -> Backbone:
    """Read a backbone by the name of its file, once in a process: a training asks for its own dozens of times.

    Raises:
        RecipeError: there is no backbone of that name, or its file is not valid.
    """
    try:
        checked_backbone(name)
    except ValueError as error:
        raise RecipeError(f"T{str(error)[1:]}.") from error
    path = files("training") / "backbones" / f"{name}.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return Backbone.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"The backbone file {path} is not right: {faults(error, Backbone, data)}.") from error


def resolve(recipe: TrainingRecipe, run: StageRun) -> Knobs:
    """The knobs of one stage of `recipe`.

    Raises:
        RecipeError: no layer sets a knob, or knobs do not fit together.
    """
    base = backbone(recipe.backbone)
    merged: dict[str, Any] = {}
    layers = [base.knobs, base.stages.get(layer_name(run)), recipe.knobs, run.knobs]
    if recipe.as_in == "scripts":
        layers.insert(2, base.scripts.get(layer_name(run)))
    for layer in layers:
        merged |= layer.model_dump(exclude_none=True) if layer else {}
    try:
        knobs = Knobs.model_validate(merged)
    except ValidationError as error:
        raise RecipeError(f"The knobs of stage {run.stage} are not settled: {faults(error, Knobs, merged)}.") from error
    gpus = (recipe.gpus or base.gpus) * recipe.nodes
    _check_sequence_parallel(knobs, run, gpus, recipe.device or base.device)
    _check_divisions(knobs, run, gpus)
    longest = knobs.max_prompt_tokens + knobs.max_response_tokens
    share = -(-longest // knobs.sequence_parallel)
    if 0 < knobs.tokens_per_gpu < share:
        split = f", split over {knobs.sequence_parallel} GPUs" if knobs.sequence_parallel > 1 else ""
        raise RecipeError(
            f"In stage {run.stage}, tokens_per_gpu is {knobs.tokens_per_gpu} and a prompt with its reply may have "
            f"{longest} tokens (max_prompt_tokens + max_response_tokens){split}; raise it to {share}, or set it to 0."
        )
    if knobs.min_pixels > knobs.max_pixels:
        raise RecipeError(
            f"In stage {run.stage}, min_pixels is {knobs.min_pixels} and max_pixels {knobs.max_pixels}; "
            f"lower min_pixels."
        )
    return knobs


def layer_name(run: StageRun) -> str:
    """The backbone's layer for a stage."""
    if run.method == "sft":
        return "sft"
    return MIXED if run.stage in set(get_args(Kind)) - set(STAGED) else run.stage


def _check_sequence_parallel(knobs: Knobs, run: StageRun, gpus: int, device: str) -> None:
    """That the model's attention heads divide is checked with its configuration (`preflight.machine.hardware`)."""
    found = f"In stage {run.stage}, sequence_parallel is {knobs.sequence_parallel}"
    if knobs.sequence_parallel > 1 and device == "cpu":
        raise RecipeError(
            f"{found}, and verl splits a sequence only where nothing is padded, which takes flash attention and so a "
            f"GPU; set training.knobs.sequence_parallel to 1."
        )
    if gpus % knobs.sequence_parallel:
        mend = "set training.knobs.sequence_parallel to a number that does, or to 1"
        raise RecipeError(f"{found}, which does not divide the {gpus} GPUs; {mend}.")


def _check_divisions(knobs: Knobs, run: StageRun, gpus: int) -> None:
    """verl splits a step's sequences over GPUs and micro-batches, and fails in step 1 if that leaves a remainder.

    GPUs that share a sequence (`sequence_parallel`) count as one, except in one of verl's checks of micro-batches.
    """
    sequences, updates = knobs.batch_size * knobs.rollouts, knobs.mini_batch_size * knobs.rollouts
    parallel = gpus // knobs.sequence_parallel
    name = "GPUs" if parallel == gpus else "groups of GPUs"
    update, log_prob = knobs.update_micro_batch * parallel, knobs.log_prob_micro_batch * parallel
    shares: tuple[tuple[str, int, str, int], ...] = (
        ("batch_size", knobs.batch_size, "mini_batch_size", knobs.mini_batch_size),
        ("batch_size x rollouts", sequences, f"log_prob_micro_batch x {name}", log_prob),
        ("mini_batch_size x rollouts", updates, f"update_micro_batch x {name}", update),
        ("batch_size x rollouts", sequences, "the number of GPUs", gpus),
    )
    if run.method == "sft":
        shares = (("batch_size", knobs.batch_size, f"update_micro_batch x {name}", update),)
    elif knobs.tokens_per_gpu:
        shares = (
            shares[0],
            ("batch_size x rollouts", sequences, f"the number of {name}", parallel),
            ("mini_batch_size x rollouts", updates, f"the number of {name}", parallel),
        )
    for whole_name, whole, part_name, part in shares:
        if whole % part:
            raise RecipeError(
                f"In stage {run.stage}, {whole_name} is {whole} and {part_name} is {part}, which does not divide it; "
                f"change one of them under training.knobs."
            )
