"""The `training` section of a recipe: which backbone, over which sets in which order, with which knobs.

A recipe says only what differs from its backbone (`training/backbones/<name>.yaml`); `training.knobs` merges the layers
in one order, later wins. This module is pydantic only, so reading a recipe never imports torch, verl or ray.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from capcurriculum.did_you_mean import meant
from capcurriculum.recipe.base import Section, matching, named
from capcurriculum.recipe.curriculum import OrderSection

#: Trackers that verl writes to beside its console and the file that is read here.
Tracker = Literal["wandb", "tensorboard", "trackio", "mlflow", "swanlab"]
#: A value of verl's configuration.
VerlValue = str | int | float | bool | None | tuple[str | int | float | bool, ...]
Fraction = Annotated[float, Field(ge=0, le=1)]
Selection = Literal["last", "best"]
Method = Literal["grpo", "sft"]
Schedule = Literal["constant", "cosine"]
#: Linear layers of a language model by the last part of their names, as every model here that can be trained has them.
LoraModule = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.,:-]{0,63}"
_SAID = "at most 64 letters, digits, _ . , : and -, a letter, digit or _ first"
_Word = Annotated[str, matching(_WORD, _SAID)]
#: A name that is a folder below the run's.
FolderName = Annotated[str, named(80)]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if "${" in pattern:
        raise ValueError(f"{pattern!r} holds ${{, which the trainer's configuration takes for a reference")
    return pattern


@cache
def backbones() -> tuple[str, ...]:
    """The names of the backbones, by the files of `training/backbones`."""
    there = (files("training") / "backbones").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in there if file.name.endswith(".yaml")))


def checked_backbone(name: str) -> str:
    """Return the name of a backbone.

    Raises:
        ValueError: it is none.
    """
    if name not in backbones():
        near = meant(name.rpartition("/")[2], backbones())
        raise ValueError(f"there is no backbone {name[:80]!r}{near}; backbones are {', '.join(backbones())}")
    return name


class PreflightSection(Section):
    """How the rows of a training are checked before it starts.

    `overlong` is what happens to rows whose prompt is longer than `max_prompt_tokens`:

    - `refuse`: the training does not start, and the report names them;
    - `drop`: the trainer reads files without them, and a record says which and why;
    - `downscale`: it reads files in which their pictures are smaller, by as little as makes them fit.

    `processes` is how many read at once (all cores if left out), `examples` how many rows a finding names. `exact` asks
    the backbone's processor about every picture, where else its arithmetic is used, which is compared with it first.
    `balance_limit` refuses a stage whose answer key is less probable than that under equally frequent letters (a
    chi-square test); under 0.001 there is a warning. `gpu_memory_gb` is what one GPU has, for plans made elsewhere.
    """

    overlong: Literal["refuse", "drop", "downscale"] = "refuse"
    processes: PositiveInt | None = None
    examples: PositiveInt = 3
    exact: bool = False
    balance_limit: Annotated[float, Field(gt=0, lt=1)] | None = None
    gpu_memory_gb: PositiveFloat | None = None


class SoftOverlong(Section):
    """The soft overlong punishment of DAPO (Yu et al. 2025, arXiv 2503.14476), done by verl's own manager.

    A reply loses nothing until its last `buffer_tokens` before `max_response_tokens`, and over those linearly up to
    `penalty`; the paper's is 4,096 tokens of 20,480 and 1.
    """

    buffer_tokens: PositiveInt
    penalty: PositiveFloat = 1.0


class RewardSection(Section):
    """`unparsed_penalty` is what a reply without a readable answer loses."""

    unparsed_penalty: Annotated[float, Field(ge=0, le=1)] = 0.0
    soft_overlong: SoftOverlong | None = None


class KnobChanges(Section):
    """The knobs that a layer changes; what is left out keeps the value of the layer below.

    Batch sizes count prompts, lengths count tokens, `min_pixels` and `max_pixels` are areas of an image. A pass over a
    model takes as many sequences as fit into `tokens_per_gpu` tokens; where that is 0, in captions and in EasyR1, the
    micro-batches count the sequences of a pass on one GPU. `freeze` is a regular expression that is searched for in the
    names of the model's parameters, or `vision` for its vision tower; "" freezes nothing. `shuffle` draws the rows anew
    each epoch.
    `schedule` is how the learning rate goes on after its `warmup` (a share of the stage's steps): `constant`, or by
    half a `cosine` to `min_lr_ratio` of itself at the stage's end.
    `lora_rank` above 0 trains adapters of that rank in the `lora_modules` of the language model's layers, scaled by
    `lora_alpha` / `lora_rank`, and nothing else; 0 trains the weights themselves.
    `sequence_parallel` is over how many GPUs one sequence is split while it is trained on, `tensor_parallel` over how
    many vLLM splits the model. What is offloaded is in the host's memory while vLLM has the GPU.
    Validation asks each row `val_rollouts` times, at `val_temperature` (0 is greedy) and `val_top_p`.
    """

    epochs: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    mini_batch_size: PositiveInt | None = None
    tokens_per_gpu: NonNegativeInt | None = None
    update_micro_batch: PositiveInt | None = None
    log_prob_micro_batch: PositiveInt | None = None
    rollouts: Annotated[int, Field(ge=2)] | None = None
    temperature: PositiveFloat | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    val_rollouts: PositiveInt | None = None
    val_temperature: NonNegativeFloat | None = None
    val_top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_prompt_tokens: PositiveInt | None = None
    max_response_tokens: PositiveInt | None = None
    min_pixels: PositiveInt | None = None
    max_pixels: PositiveInt | None = None
    shuffle: bool | None = None
    freeze: Annotated[str, AfterValidator(_compiles)] | None = None
    learning_rate: PositiveFloat | None = None
    schedule: Schedule | None = None
    warmup: Fraction | None = None
    min_lr_ratio: Fraction | None = None
    weight_decay: NonNegativeFloat | None = None
    grad_clip: PositiveFloat | None = None
    kl_coef: NonNegativeFloat | None = None
    clip_low: PositiveFloat | None = None
    clip_high: PositiveFloat | None = None
    lora_rank: Annotated[int, Field(ge=0, le=512)] | None = None
    lora_alpha: PositiveInt | None = None
    lora_modules: Annotated[tuple[LoraModule, ...], Field(min_length=1)] | None = None
    accuracy_weight: Fraction | None = None
    format_weight: Fraction | None = None
    save_every: PositiveInt | None = None
    validate_every: NonNegativeInt | None = None
    keep_checkpoints: PositiveInt | None = None
    offload_optimizer: bool | None = None
    offload_parameters: bool | None = None
    gpu_memory: Annotated[float, Field(gt=0, lt=1)] | None = None
    tensor_parallel: PositiveInt | None = None
    sequence_parallel: PositiveInt | None = None


class SlurmSection(Section):
    """What `train --sbatch` asks Slurm for; `time` is as Slurm writes it, for example `1-12:00:00`."""

    partition: _Word | None = None
    account: _Word | None = None
    qos: _Word | None = None
    time: Annotated[str, matching(r"[0-9][0-9:-]{0,19}", "a time as Slurm writes it, such as 1-12:00:00")] | None = None
    cpus: PositiveInt | None = None
    memory: Annotated[str, matching(r"[0-9]{1,9}[KMGT]?", "a number with K, M, G or T, such as 64G")] | None = None


class RefreshSection(Section):
    """Pass rates measured anew between the stages of a training, by the checkpoint that the next stage starts from.

    That checkpoint answers every training row of the stage up to `k` times, drawn as the stage draws its rollouts. Rows
    with `above` < pass rate < `below` are trained on, in `order`: by the new pass rate, rows of the same rate as they
    were built, or all `as_built`. `stages` names the runs before which it happens; empty means those whose rows were
    measured by another model than the one that they start from, which are all but the first, and the first too if
    `training.model` is known to be another model than that of the recipe's rollouts.
    """

    k: Annotated[int, Field(ge=2)] = 8
    above: Annotated[float, Field(ge=0, lt=1)] = 0.0
    below: Annotated[float, Field(gt=0, le=1)] = 1.0
    order: Literal["easy_to_hard", "hard_to_easy", "as_built"] = "easy_to_hard"
    stages: tuple[FolderName, ...] = ()

    @model_validator(mode="after")
    def _band_is_open(self) -> "RefreshSection":
        if self.above >= self.below:
            raise ValueError(f"above is {self.above} and below {self.below}; above must be the smaller one")
        return self


def _dotted(keys: Any) -> Any:
    nested = [key for key, value in keys.items() if isinstance(value, dict)] if isinstance(keys, dict) else []
    if nested:
        raise ValueError(f"{nested[0]} holds keys of its own; write each in one line with dots, {nested[0]}.KEY: VALUE")
    return keys


VerlKeys = Annotated[dict[str, VerlValue], BeforeValidator(_dotted)]


class StageRun(Section):
    """One link of the chain: a set's rows, how they are taught, and what this run changes.

    With `method: sft` the model is taught the captions of the set's images in place of the questions about them.
    `select` as in `TrainingRecipe`; `verl` too, and wins over it key by key.
    """

    stage: FolderName
    method: Method = "grpo"
    knobs: KnobChanges = KnobChanges()
    verl: VerlKeys = Field(default_factory=dict)
    select: Selection | None = None


def _named(value: Any) -> Any:
    return {"stage": value} if isinstance(value, str) else value


class TrainingRecipe(Section):
    """A chain of runs, each starting from the checkpoint of the one before.

    The links are the sets of `order`: an order of the run or of the recipe's `curriculum` by its name, a kind, or a
    whole order section; empty means the stages as they were built. `stages` picks some of these sets, in the order in
    which they are taught (default: all of them as they come), each a name or a name with knobs.

    `name` tells this training apart from others over the same run. `as_in` takes the backbone's numbers from the paper
    or, where they differ, from its released scripts. `model` is the first parent: a checkpoint folder, a Hub id, or
    `micro:NAME` for one shipped with the package; empty means the backbone's own.

    The trainer counts as hung when it prints nothing for `stall_minutes`, or finishes no step for `step_minutes` (the
    first one with all that comes before it, each with its save and validation). `select` says which checkpoint of a
    stage goes on: the `last`, or the `best` by accuracy on the stage's own validation rows.

    `validate_on` says whose validation rows are asked: the stage's `own`, before its first step too, or those of `all`
    stages of the chain, so that each capability has one curve over the whole chain, which begins before its first step.

    `refresh` has pass rates measured anew between stages; left out, rows are trained on as they were built.

    `canary` has the trainer and the rollout engine compared on a few pictures before the first step and with every
    checkpoint; a stage in which they do not see the same ends.

    `logger` names trackers beside the console and the file of metrics, `project` and `run_name` what these trackers
    show (the stage is added), and `log_samples` how many replies of each validation they get. `verl` sets keys of
    verl's own configuration by their dotted names, over all that is said here; stages that are taught captions take
    only their own.

    A stage that is done keeps its exported checkpoint alone, and with `keep_trainer_state` also what the trainer could
    be resumed from.

    `python` is the interpreter of the environment the trainer is installed in (empty: this one), with this package
    beside it. `ray` is the address of a cluster that the trainer joins instead of starting one: `auto`, `host:port` or
    `ray://host:port`; more than one node needs it.
    """

    name: Annotated[str, named(80, empty=True)] = ""
    backbone: Annotated[str, AfterValidator(checked_backbone)] = "micro"
    as_in: Literal["paper", "scripts"] = "paper"
    model: str = ""
    device: Literal["cpu", "cuda"] | None = None
    gpus: PositiveInt | None = None
    nodes: PositiveInt = 1
    python: Annotated[
        str, matching(r"|(/|~/)[^\x00\n]*/python[0-9.]*", "the full path of a Python, such as /opt/verl/bin/python")
    ] = ""
    ray: Annotated[
        str, matching(r"|auto|(ray://)?[A-Za-z0-9_.-]+:[0-9]{1,5}", "auto, host:port or ray://host:port")
    ] = ""
    slurm: SlurmSection = SlurmSection()
    seed: int = 42
    order: FolderName | OrderSection | None = None
    stages: tuple[Annotated[StageRun, BeforeValidator(_named)], ...] = ()
    knobs: KnobChanges = KnobChanges()
    reward: RewardSection = RewardSection()
    preflight: PreflightSection = PreflightSection()
    refresh: RefreshSection | None = None
    stall_minutes: PositiveFloat = 20
    step_minutes: PositiveFloat = 180
    select: Selection = "last"
    validate_on: Literal["own", "all"] = "own"
    keep_trainer_state: bool = False
    canary: bool = True
    logger: tuple[Tracker, ...] = ()
    project: _Word = "capcurriculum"
    run_name: Annotated[str, matching(rf"|{_WORD}", _SAID)] = ""
    log_samples: NonNegativeInt = 0
    verl: VerlKeys = Field(default_factory=dict)

    @model_validator(mode="after")
    def _stages_once(self) -> "TrainingRecipe":
        names = [run.stage for run in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each stage may be trained once; {', '.join(twice)} is listed twice; leave one out")
        return self
