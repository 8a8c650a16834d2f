"""How a checkpoint was trained: the plan of its chain, and the steps that the trainer wrote down.

Read as data with the fields that a card shows, so that a plan of another version is still told as far as it is known.
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
from training.on_verl.freeze import VARIABLE
from training.supervise import curves, metrics

#: What verl calls the numbers that a card shows.
REWARD, TOKENS, SECONDS = "critic/score/mean", "response_length/mean", "timing_s/step"


class Stage(BaseModel):
    """A stage of a plan as `training/plan.json` has it; its name is that of a folder, and of no other."""

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
        """How it was taught: `GRPO`, or `SFT` on captions; verl's settings of the two have no key in common for it."""
        return "GRPO" if "algorithm.adv_estimator" in self.config else "SFT"

    @property
    def frozen(self) -> str:
        """The expression of weights that were kept as they are, "" for none."""
        return next((str(value) for key, value in self.config.items() if key.endswith(f".{VARIABLE}") and value), "")

    @property
    def adapters(self) -> int:
        """The rank of the adapters that were trained in place of the weights, 0 for none."""
        ranks = (value for key, value in self.config.items() if key.endswith("model.lora_rank"))
        return next((rank for rank in ranks if isinstance(rank, int)), 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the trainer: mean reward, mean tokens of a reply, and seconds; None where it was not logged."""

    number: int
    reward: float | None
    tokens: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Training:
    """The finished stages that lead to a checkpoint, in their order, and their steps by stage, and as one `frame`.

    `alone` says that the run has no other chain, `name` is what the run calls this one ("" for the one without a name).
    """

    stages: tuple[Stage, ...]
    steps: Mapping[str, Sequence[Step]]
    alone: bool = True
    name: str = ""
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)


def training(run: Run, stage: str, checkpoint: Path) -> Training:
    """The chain up to `stage` ("" for all that is done) that `checkpoint`, a folder or a copy of one, comes from.

    Nothing is known of a checkpoint that no chain of the run has made.

    Raises:
        TrainerError: the plan or the steps are damaged.
    """
    chains = _chains(run, stage)
    made = [
        (folder, done) for folder, done in chains if _same_weights(folder / done[-1].stage / "checkpoint", checkpoint)
    ]
    if not made and len(chains) == 1 and stage:
        made = chains
    if not made:
        return Training((), {})
    folder, stages = made[0]
    name = folder.name if folder.parent.name == "trainings" else ""
    frame = _frame(folder, stages)
    steps = {one.stage: _steps(frame, one.stage) for one in stages}
    return Training(stages, steps, len(run.plans) == 1, name, frame)


def done(run: Run, stage: str) -> Path | None:
    """The checkpoint of a finished stage ("": of the last one) of the run's first chain that has it.

    Raises:
        TrainerError: a plan is damaged.
    """
    chains = _chains(run, stage)
    return chains[0][0] / chains[0][1][-1].stage / "checkpoint" if chains else None


def _chains(run: Run, stage: str) -> list[tuple[Path, tuple[Stage, ...]]]:
    """Folder and finished stages of every chain of the run that has finished `stage`, or anything at all."""
    return [(plan.parent, found) for plan in run.plans if (found := _done(plan, stage))]


def _done(plan: Path, stage: str) -> tuple[Stage, ...]:
    """The finished stages of a plan up to `stage`; none when that one is not finished."""
    try:
        stages = [Stage.model_validate(one) for one in json_file.read(plan)["stages"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise TrainerError(f"{plan} is damaged ({' '.join(str(error).split())[:160]}); restore it.") from error
    found = [one for one in stages if one.state == "done"]
    if not stage:
        return tuple(found)
    names = [one.stage for one in found]
    return tuple(found[: names.index(stage) + 1]) if stage in names else ()


def _same_weights(one: Path, other: Path) -> bool:
    """Whether two folders hold the same weights: the same files, or links to them."""
    weights = sorted(one.glob("*.safetensors"))
    pairs = [(path, other / path.name) for path in weights]
    return bool(pairs) and all(copy.is_file() and os.path.samefile(path, copy) for path, copy in pairs)


def _frame(folder: Path, stages: Sequence[Stage]) -> pl.DataFrame:
    """The steps of some stages as `metrics.parquet` of their chain has them."""
    path = folder / curves.METRICS
    try:
        known = metrics.load(path).cast({"stage": pl.String, "step": pl.Int64})
        return known.filter(pl.col("stage").is_in([one.stage for one in stages]))
    except pl.exceptions.PolarsError as error:
        raise TrainerError(f"{path} is damaged ({' '.join(str(error).split())[:160]}); move it away.") from error


def _steps(frame: pl.DataFrame, stage: str) -> list[Step]:
    rows = frame.filter(pl.col("stage") == stage).sort("step").iter_rows(named=True)
    return [Step(row["step"], *(_number(row.get(name)) for name in (REWARD, TOKENS, SECONDS))) for row in rows]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value else None
