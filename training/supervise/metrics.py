"""Read the trainer's growing files, and keep one `metrics.parquet` for all stages and attempts of a chain.

verl truncates its metrics file on every attempt and repeats the steps after its last checkpoint; here each step has one
row, from the attempt that made it last. The file is replaced with every step, which takes milliseconds beside a step's
seconds, so a reader or a restart always finds a complete one.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum.errors import RunError, TrainerError
from capcurriculum.files import checksums
from capcurriculum.tables import write_atomically

#: The columns of every row; each of verl's numbers is a further one (float, null where it was not logged).
_SCHEMA = {"stage": pl.String, "attempt": pl.Int64, "step": pl.Int64, "at": pl.String}


class Tail:
    """Complete lines appended to a file since the last call; the file need not exist yet."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self.path = path
        self._at = start
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines completed since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return []
        self._at += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def records(self) -> list[dict[str, Any]]:
        """The new lines of a file of JSON objects."""
        return [json.loads(line) for line in self.lines() if line.strip()]


def load(path: Path) -> pl.DataFrame:
    """The steps of a chain in the order they were made; no rows if there is no file.

    Raises:
        TrainerError: the file is damaged.
    """
    if not path.is_file():
        return pl.DataFrame(schema=_SCHEMA)
    try:
        checksums.check([path])
        return pl.read_parquet(path, glob=False)
    except RunError as error:
        raise TrainerError(str(error)) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainerError(f"{path} is damaged ({reason}); move it away, only curves are drawn from it.") from error


@dataclass(slots=True)
class Series:
    """The steps of one attempt at a stage, kept in the chain's file; each has the numbers `about` the stage too."""

    path: Path
    stage: str
    attempt: int
    about: Mapping[str, float] = field(default_factory=dict)
    _frame: pl.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._frame = load(self.path)

    def begin(self, last_step: int, left: Path) -> None:
        """Drop the steps after `last_step`, which the attempt repeats, and add those that only verl's file has.

        `left` is verl's file of the previous attempt: a supervisor that was killed may not have read its last lines.
        """
        mine = pl.col("stage") == self.stage
        # Without a checkpoint no step stays: the validation before the first step may be of another parent.
        stays = pl.col("step") <= last_step if last_step else pl.lit(False)
        self._frame = self._frame.filter(~mine | stays)
        known = set(self._frame.filter(mine)["step"])
        lost = [record for record in Tail(left).records() if last_step and record["step"] <= last_step]
        self._add((record for record in lost if record["step"] not in known), self.attempt - 1)
        self._save()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one step as verl wrote it, `{"step": n, "data": {...}}`, unless it is there.

        Step 0 is the validation before the first. A resumed attempt validates the step that it resumes from again.
        """
        if record["step"] not in set(self.steps()["step"]):
            self._add([record], self.attempt)
            self._save()

    def steps(self) -> pl.DataFrame:
        """The stage's steps so far, over all attempts."""
        return self._frame.filter(pl.col("stage") == self.stage).sort("step")

    def _add(self, records: Iterable[Mapping[str, Any]], attempt: int) -> None:
        fixed = {**self.about, "stage": self.stage, "attempt": attempt}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = []
        for record in records:
            # verl writes null for what is no number, and texts only under names that are not read here.
            numbers = {name: float(value) for name, value in record["data"].items() if isinstance(value, (int, float))}
            rows.append(numbers | fixed | {"step": record["step"], "at": now})
        if rows:
            schema = _SCHEMA | {name: pl.Float64 for row in rows for name in row if name not in _SCHEMA}
            added = pl.DataFrame(rows, schema=schema)
            self._frame = pl.concat([self._frame, added], how="diagonal_relaxed")

    def _save(self) -> None:
        file = io.BytesIO()
        self._frame.write_parquet(file)
        checksums.seal(file)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, file.getvalue())
