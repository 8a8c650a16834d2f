"""The evaluation folder: what evaluation measures, and what cards and comparisons read.

It is `evaluation/` of a run, or the folder named by `evaluate --out`, and holds

- `heldout-*.json`: a list of `HeldOut`, one for each model and held-out stage (written by `evaluation.heldout`).
- `results.parquet`: one row for each model and benchmark with the columns of `Score`. Other columns are ignored, and so
  are rows with a `sample`, which are single replies. A later score of the same model, suite and benchmark replaces the
  earlier one. A benchmark that is not finished, or whose judge was unavailable, has no row.
- `samples/`: single replies (`evaluation.results.samples`); `states.json`: the progress of each benchmark (`State`).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from capcurriculum import mean_intervals, run
from capcurriculum.errors import RunError
from capcurriculum.files import checksums, json_file
from capcurriculum.tables import arrow_schema, write_atomically
from evaluation.results import samples

FOLDER, SCORES, HELD_OUT, STATES = "evaluation", "results.parquet", "heldout-*.json", "states.json"
#: Model, suite, benchmark.
Name = tuple[str, str, str]
_Model = TypeVar("_Model", bound=BaseModel)


class HeldOut(BaseModel):
    """A model (`start`, `after STAGE`) on the held-out rows of one stage.

    `accuracy` is the share of right replies, `half_width` that of its 95 % normal interval (`low` and `high` hold for
    few rows too), `unparsed` the share of replies without a readable answer, `tokens` the mean length of a reply,
    `rates` the share of right replies by question id, `weights` the digest of the checkpoint ("" if not recorded).
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    model: str
    stage: str
    rows: int = Field(ge=0)
    replies: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1)
    half_width: float = Field(ge=0)
    unparsed: float = Field(ge=0, le=1)
    tokens: float = Field(ge=0)
    rates: Mapping[str, float] = {}
    weights: str = ""

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval of `accuracy`."""
        return self._interval[0]

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval of `accuracy`."""
        return self._interval[1]

    @cached_property
    def _interval(self) -> tuple[float, float]:
        """Accuracy and half-width, unless there are too few rows for these."""
        rates = np.array(list(self.rates.values()))
        if not len(rates) or mean_intervals.bootstraps(rates):
            return max(0.0, self.accuracy - self.half_width), min(1.0, self.accuracy + self.half_width)
        return mean_intervals.interval([mean_intervals.drawn(rates, (0.0, 1.0))])


@dataclass(frozen=True, slots=True)
class Score:
    """A model on a benchmark of a suite, in percent, with a 95 % interval (None where none was computed).

    `tokens` is the mean length of a reply, `judge` the judge model ("" for a program). `metric` names what `score` is:
    `accuracy` is `right` over `samples` (right + wrong + unparsed, without `failed`); other names are the engine's own.
    `setup`, `weights`, `benchmark_digest` and `engine` are those of its samples.
    """

    model: str
    suite: str
    benchmark: str
    score: float
    low: float | None
    high: float | None
    samples: int
    tokens: float | None
    judge: str
    metric: str = "accuracy"
    right: int | None = None
    wrong: int | None = None
    unparsed: int | None = None
    failed: int | None = None
    engine: str = ""
    setup: str = ""
    weights: str = ""
    benchmark_digest: str = ""


class State(BaseModel):
    """The progress of a model on a benchmark; `detail` is one sentence, with the remedy where there is one.

    `done`: there is a score. `incomplete`: samples are missing or failed. `judge unavailable`: replies wait to be
    judged. `failed`: the engine gave up. All but `done` have no score and are resumed by the same command.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    suite: str
    benchmark: str
    state: Literal["done", "incomplete", "judge unavailable", "failed"]
    detail: str = ""
    engine: str = ""
    setup: str = ""
    benchmark_digest: str = ""
    samples: int = 0
    answered: int = 0


def held_out(folder: Path) -> list[HeldOut]:
    """All held-out scores of a run folder, over all rows and models; empty where there are none.

    Raises:
        RunError: a file is damaged.
    """
    return [one for path in sorted((folder / FOLDER).glob(HELD_OUT)) for one in held_out_in(path)]


def held_out_in(path: Path) -> list[HeldOut]:
    """The held-out scores of one file; raises `RunError` where it is damaged."""
    return _records(path, HeldOut)


def states(folder: Path) -> list[State]:
    """The state of every benchmark of an evaluation folder; raises `RunError` where the file is damaged."""
    path = folder / STATES
    return _records(path, State) if path.is_file() else []


def _records(path: Path, kind: type[_Model]) -> list[_Model]:
    try:
        return [kind.model_validate(one) for one in json_file.read(path)]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged; remove it and evaluate again.") from error


def scores_in(folder: Path) -> list[Score]:
    """The benchmark scores of an evaluation folder; empty where there are none.

    Raises:
        RunError: the file is damaged, lacks a column, or holds a score outside 0 to 100.
    """
    path = folder / SCORES
    if not path.is_file():
        return []
    checksums.check([path])
    try:
        frame = pl.read_parquet(path, glob=False)
        if "sample" in frame.columns:
            frame = frame.filter(pl.col("sample").cast(pl.String).fill_null("") == "")
        names = [*_NEEDED, *(name for name in _OPTIONAL if name in frame.columns)]
        return [_score(row) for row in frame.select(names).iter_rows(named=True)]
    except (pl.exceptions.PolarsError, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{path} cannot be read ({reason}); evaluate again, its columns are {', '.join(_NEEDED)}."
        ) from error


def put_score(folder: Path, name: Name, score: Score | None) -> None:
    """Replace the score of that name atomically, or remove it (None).

    Raises:
        RunError: the existing file is damaged.
    """
    found = scores_in(folder)
    kept = [one for one in found if named(one) != name] + ([score] if score else [])
    if kept == found:
        return
    data = BytesIO()
    rows = [dataclasses.asdict(one) for one in sorted(kept, key=named)]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(Score)), data, compression="zstd")
    checksums.seal(data)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SCORES, data.getvalue())


def put_state(folder: Path, new: State) -> None:
    """Replace the state of the same model, suite and benchmark, atomically."""
    kept = {named(state): state for state in states(folder)} | {named(new): new}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([state.model_dump() for state in kept.values()], indent=1)
    write_atomically(folder / STATES, (text + "\n").encode())


def folder_of(name: str, runs: str = "runs") -> Path:
    """The evaluation folder that `name` names: itself, or that of a run (its folder, name or recipe).

    Raises:
        RunError: there is neither.
    """
    path = Path(name)
    if path.is_dir() and any((path / kept).exists() for kept in (SCORES, STATES, samples.TABLE)):
        return path
    return run.named(name, runs).path / FOLDER


def named(one: Score | State) -> Name:
    """The model, suite and benchmark of a score or a state."""
    return one.model, one.suite, one.benchmark


_NEEDED = tuple(f.name for f in dataclasses.fields(Score) if f.default is dataclasses.MISSING)
_OPTIONAL = tuple(f.name for f in dataclasses.fields(Score) if f.default is not dataclasses.MISSING)


def _score(row: Mapping[str, Any]) -> Score:
    """A row as a record, whatever number types another program wrote."""
    values: dict[str, Any] = {name: row[name] for name in _OPTIONAL if row.get(name) is not None}
    values |= {name: str(row[name]) for name in ("model", "suite", "benchmark")}
    values |= {name: None if row[name] is None else float(row[name]) for name in ("low", "high", "tokens")}
    found = Score(**values, judge=str(row["judge"] or ""), score=float(row["score"]), samples=int(row["samples"]))
    if not all(0 <= value <= 100 for value in (found.score, found.low, found.high) if value is not None):
        raise ValueError(f"{found.model} has no score between 0 and 100 on {found.benchmark}")
    return found
