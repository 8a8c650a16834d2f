"""The training of a checkpoint: the plan of its chain, and the metrics of its steps.

Only the fields that a card shows are read, so that plans of other versions can be read as well.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import TrainerError
from capcurriculum.files import json_file
from capcurriculum.run import Run
from capcurriculum.validation import reason
from training.on_verl.freeze import VARIABLE
from training.supervise import curves, metrics

#: verl's names of the metrics that a card shows.
REWARD, TOKENS, SECONDS = "critic/score/mean", "response_length/mean", "timing_s/step"


class Stage(BaseModel):
    """A stage in `training/plan.json`; its name must be a plain folder name."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: Annotated[str, Field(pattern=r"^\w[\w.-]{0,79}$")]
    state: str
    rows: int
    batch_size: int
    rollouts: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    config: Mapping[str, Any] = {}
    dataset_digest: str = ""
    config_digest: str = ""
    parent: str = ""
    parent_digest: str = ""
    checkpoint_digest: str = ""
    selected_step: int = 0
    validation: float | None = None

    @property
    def method(self) -> str:
        """`GRPO`, or `SFT` on captions, by verl's settings."""
        return "GRPO" if "algorithm.adv_estimator" in self.config else "SFT"

    @property
    def frozen(self) -> str:
        """The expression for frozen weights, "" for none."""
        return next((str(value) for key, value in self.config.items() if key.endswith(f".{VARIABLE}") and value), "")

    @property
    def adapters(self) -> int:
        """The LoRA rank, 0 without adapters."""
        ranks = (value for key, value in self.config.items() if key.endswith("model.lora_rank"))
        return next((rank for rank in ranks if isinstance(rank, int)), 0)


@dataclass(frozen=True, slots=True)
class Training:
    """The finished stages up to a checkpoint in order, and the metrics of their steps (`frame`, see `metrics.load`).

    `alone` is whether the run has no other chain, `name` the name of this one in the run ("" for the unnamed one).
    """

    stages: tuple[Stage, ...] = ()
    alone: bool = True
    name: str = ""
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)

    def logged(self, stage: str, name: str) -> list[float]:
        """The values of a metric over the steps of a stage, without those that are missing or NaN."""
        if name not in self.frame.columns:
            return []
        steps = self.frame.filter(pl.col("stage") == stage).sort("step")
        return [float(v) for v in steps[name].to_list() if isinstance(v, int | float) and v == v]


def training(run: Run, stage: str, checkpoint: Path) -> Training:
    """The chain up to `stage` ("": the last finished) that made `checkpoint`; empty if no chain of the run did.

    Raises:
        TrainerError: the plan or the metrics are damaged.
    """
    chains = _chains(run, stage)
    made = [one for one in chains if _same_weights(one[0] / one[1][-1].stage / "checkpoint", checkpoint)]
    if not made and len(chains) == 1 and stage:
        made = chains
    if not made:
        return Training()
    folder, stages = made[0]
    name = folder.name if folder.parent.name == "trainings" else ""
    return Training(stages, len(run.plans) == 1, name, _frame(folder, stages))


def done(run: Run, stage: str) -> Path | None:
    """The checkpoint of a finished stage ("": the last) in the first chain of the run that has it.

    Raises:
        TrainerError: a plan is damaged.
    """
    chains = _chains(run, stage)
    return chains[0][0] / chains[0][1][-1].stage / "checkpoint" if chains else None


def _chains(run: Run, stage: str) -> list[tuple[Path, tuple[Stage, ...]]]:
    """Folder and finished stages of every chain of the run that has finished `stage` ("": any stage)."""
    return [(plan.parent, found) for plan in run.plans if (found := _done(plan, stage))]


def _done(plan: Path, stage: str) -> tuple[Stage, ...]:
    """The finished stages of a plan up to `stage`; empty if that is not finished."""
    try:
        stages = [Stage.model_validate(one) for one in json_file.read(plan)["stages"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise TrainerError(f"{plan} is damaged ({reason(error)[:160]}); restore it.") from error
    found = [one for one in stages if one.state == "done"]
    if not stage:
        return tuple(found)
    names = [one.stage for one in found]
    return tuple(found[: names.index(stage) + 1]) if stage in names else ()


def _same_weights(one: Path, other: Path) -> bool:
    """Whether two folders contain the same weight files, or links to them."""
    weights = sorted(one.glob("*.safetensors"))
    pairs = [(path, other / path.name) for path in weights]
    return bool(pairs) and all(copy.is_file() and os.path.samefile(path, copy) for path, copy in pairs)


def _frame(folder: Path, stages: Sequence[Stage]) -> pl.DataFrame:
    """The metrics of the steps of some stages."""
    path = folder / curves.METRICS
    try:
        known = metrics.load(path).cast({"stage": pl.String, "step": pl.Int64})
        return known.filter(pl.col("stage").is_in([one.stage for one in stages]))
    except pl.exceptions.PolarsError as error:
        raise TrainerError(f"{path} is damaged ({reason(error)[:160]}); move it away.") from error
