"""A stage's Parquet files, identified by their content. `training.preflight` checks their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from capcurriculum.errors import TrainerError
from capcurriculum.files import checksums
from training.plan import files_digest

#: The placeholder of an image in a prompt.
IMAGE = "<image>"


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The files of one stage; `rows` counts the training rows. Without a validation split `val` is empty."""

    stage: str
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    rows: int
    digest: str


def set_files(name: str, folders: Sequence[Path]) -> StageFiles:
    """The files of a set: training files of all its folders in order, validation files of the first.

    Raises:
        TrainerError: there are no training files.
        RunError: a file is damaged.
    """
    absolute = [folder.absolute() for folder in folders]
    train, val = train_files(absolute), val_files(absolute)
    if not train:
        raise TrainerError(
            f"Stage {name} has no train files in {absolute[0]}; build the run first (capcurriculum build)."
        )
    checksums.check([*train, *val])
    return StageFiles(name, train, val, count(train), files_digest([*train, *val]))


def train_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The training files of a set's folders, in order."""
    return tuple(path for folder in folders for path in sorted(folder.glob("train-*.parquet")))


def val_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The validation files of a set: those of its first folder."""
    return tuple(sorted(folders[0].absolute().glob("val-*.parquet")))


def count(paths: Sequence[Path]) -> int:
    """The number of rows in the files, from their footers.

    Raises:
        TrainerError: a file is not Parquet.
    """
    rows = 0
    for path in paths:
        try:
            rows += int(pq.read_metadata(path).num_rows)
        except (OSError, ValueError) as error:
            raise TrainerError(f"The training file {path} cannot be read ({error}); build the run again.") from error
    return rows
