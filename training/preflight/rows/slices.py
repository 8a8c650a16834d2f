"""Slices of a set's files: the rows that a worker reads, and what it found."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import TrainerError
from training.preflight.rows.row import RowResult
from training.preflight.rows.shrink import Fit

#: The columns that a row's check reads.
_READ = ("data_source", "prompt", "images", "reward_model", "extra_info")
_BATCH = 16  # rows whose images are in memory at once


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows `start` to `stop` of a row group of file `number`; `first` is the file's index of the group's first row."""

    number: int
    path: Path
    group: int
    first: int
    start: int
    stop: int
    upright: bool


@dataclass(frozen=True, slots=True)
class Overlong:
    """A row that is too long; `row` is its index in file `number`, `fit` the areas of `shrink.fit`."""

    number: int
    row: int
    question_id: str
    tokens: int
    image_tokens: int
    fit: Fit | None


@dataclass
class Seen:
    """What a slice holds: tokens by row, and the counts of (index of the key, number of options)."""

    part: Slice
    tokens: "array[int]" = field(default_factory=lambda: array("i"))
    image_tokens: "array[int]" = field(default_factory=lambda: array("i"))
    faults: list[tuple[int, str, str, str]] = field(default_factory=list)  # row, question id, check, detail
    overlong: list[Overlong] = field(default_factory=list)
    letters: Counter[tuple[int, int]] = field(default_factory=Counter)
    checked: int = 0  # rows that were not in the cache

    def add(self, place: int, question_id: str, result: RowResult, limit: int, fit: Callable[[], Fit | None]) -> None:
        """Add the row at `place` in the file; `fit` is called if it has more than `limit` tokens."""
        self.tokens.append(result.tokens)
        self.image_tokens.append(result.image_tokens)
        self.faults += [(place, question_id, name, detail) for name, detail in result.faults]
        if result.tokens > limit:
            self.overlong.append(
                Overlong(self.part.number, place, question_id, result.tokens, result.image_tokens, fit())
            )


def rows(part: Slice, columns: Sequence[str] = _READ) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index in the row group, row) of a slice; the images of `_BATCH` rows are in memory at a time.

    Raises:
        TrainerError: the file is damaged.
    """
    try:
        with pq.ParquetFile(part.path, memory_map=True) as file:
            at = 0
            for batch in file.iter_batches(_BATCH, row_groups=[part.group], columns=list(columns)):
                low, high = max(part.start - at, 0), min(part.stop - at, batch.num_rows)
                if low < high:
                    yield from enumerate(batch.slice(low, high - low).to_pylist(), at + low)
                at += batch.num_rows
                if at >= part.stop:
                    return
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainerError(f"{part.path} is damaged ({reason}); build the run again.") from error
