"""A stage's parquet files, known by their content. `training.preflight` tells what may be wrong with their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from capcurriculum.errors import TrainerError
from capcurriculum.files import checksums
from training.plan import files_digest

#: What a trainer's rows have.
COLUMNS = ("data_source", "prompt", "images", "ability", "reward_model", "extra_info")
#: Where a picture stands in a turn.
IMAGE = "<image>"


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The files of one stage; `rows` counts the training rows. Without a validation split `val` is empty."""

    stage: str
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    rows: int
    digest: str


def stage_files(run_dir: Path, stage: str) -> StageFiles:
    """The files of a stage under `run_dir/stages`; raises what `set_files` raises."""
    return set_files(stage, [run_dir / "stages" / stage])


def set_files(name: str, folders: Sequence[Path]) -> StageFiles:
    """The files of a set: training files of its folders one after the other, validation files of the first.

    Raises:
        TrainerError: there are none to train on.
        RunError: one is damaged.
    """
    there = [folder.absolute() for folder in folders]
    train, val = train_files(there), val_files(there)
    if not train:
        raise TrainerError(f"Stage {name} has no train files in {there[0]}; build the run first (capcurriculum build).")
    checksums.check([*train, *val])
    return StageFiles(name, train, val, count(train), files_digest([*train, *val]))


def train_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The training files of a set's folders, one after the other."""
    return tuple(path for folder in folders for path in sorted(folder.glob("train-*.parquet")))


def val_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The validation files of a set: those of its first folder."""
    return tuple(sorted(folders[0].absolute().glob("val-*.parquet")))


def count(paths: Sequence[Path]) -> int:
    """Rows of files, by their footers.

    Raises:
        TrainerError: one is not parquet.
    """
    rows = 0
    for path in paths:
        try:
            rows += int(pq.read_metadata(path).num_rows)
        except (OSError, ValueError) as error:
            raise TrainerError(f"The training file {path} cannot be read ({error}); build the run again.") from error
    return rows
