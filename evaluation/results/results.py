"""What was measured of models: an evaluation folder, as evaluation writes it and cards and comparisons read it.

It is `evaluation/` of a run, or any folder that `evaluate --out` was given, and holds

- `heldout-*.json`: a list of `HeldOut`, one for each model and held-out stage (written by `evaluation.heldout`).
- `results.parquet`: one row for each model and benchmark with the columns of `Score`; further columns are passed over,
  and so are rows with a `sample`, which are single replies. A later score of the same model, suite and benchmark
  replaces the earlier one, and a benchmark that is not finished, or whose judge was not there, has no row.
- `samples/`: single replies (`evaluation.results.samples`); `states.json`: how far each benchmark is (`State`).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum import run
from capcurriculum.errors import RunError
from capcurriculum.files import checksums, json_file
from capcurriculum.tables import arrow_schema, write_atomically
from evaluation.results import samples

FOLDER, SCORES, HELD_OUT, STATES = "evaluation", "results.parquet", "heldout-*.json", "states.json"
#: Model, suite, benchmark.
Name = tuple[str, str, str]


class HeldOut(BaseModel):
    """A model (`start`, `after STAGE`) on the rows of a stage that nothing was trained on.

    `accuracy` is the share of right replies, `half_width` that of its 95 % interval, `unparsed` the share of replies
    without an answer, `tokens` the mean length of a reply, `rates` the share of right replies by question id, `weights`
    the checkpoint's digest ("" where the file does not tell).
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


@dataclass(frozen=True, slots=True)
class Score:
    """A model on a benchmark of a suite: percent, with a 95 % interval (None where none was computed).

    `tokens` is the mean length of a reply, `judge` who graded ("" for a program). `metric` says what `score` is:
    `accuracy` is `right` over `samples`, that is right + wrong + unparsed, and leaves out `failed`; other names are the
    engine's own. `setup`, `weights`, `benchmark_digest` and `engine` are those of its samples.
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
    """How far a model is on a benchmark. `detail` is a sentence, with the mend where there is one.

    `done`: there is a score. `incomplete`: samples are missing or failed; `judge unavailable`: replies are there and
    wait for a judge; `failed`: the engine gave up. The last three have no score; the same command goes on with them.
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
    """All that a run folder holds of held-out accuracy, whichever rows and models it is of; none is no error.

    Raises:
        RunError: a file is damaged.
    """
    found: list[HeldOut] = []
    for path in sorted((folder / FOLDER).glob(HELD_OUT)):
        found += held_out_in(path)
    return found


def held_out_in(path: Path) -> list[HeldOut]:
    """What one file holds of it.

    Raises:
        RunError: it is damaged.
    """
    try:
        return [HeldOut.model_validate(one) for one in json_file.read(path)]
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise RunError(f"{path} is damaged; remove it and evaluate again.") from error


def scores(folder: Path) -> list[Score]:
    """What a run folder holds of benchmark scores; none is no error.

    Raises:
        RunError: the file is damaged, or lacks a column.
    """
    return scores_in(folder / FOLDER)


def scores_in(folder: Path) -> list[Score]:
    """The scores of an evaluation folder; see `scores`."""
    path = folder / SCORES
    if not path.is_file():
        return []
    checksums.check([path])
    try:
        frame = pl.read_parquet(path, glob=False)
        if "sample" in frame.columns:
            frame = frame.filter(pl.col("sample").cast(pl.String).fill_null("") == "")
        names = [*_NEEDED, *(name for name in _FURTHER if name in frame.columns)]
        return [_score(row) for row in frame.select(names).iter_rows(named=True)]
    except (pl.exceptions.PolarsError, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{path} cannot be read ({reason}); evaluate again, its columns are {', '.join(_NEEDED)}."
        ) from error


def put_score(folder: Path, name: Name, score: Score | None) -> None:
    """Replace the score of that name (model, suite, benchmark) in an evaluation folder, by none if None, atomically.

    Raises:
        RunError: the file that is there is damaged.
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


def folder_of(name: str, runs: str = "runs") -> Path:
    """The evaluation folder a user names: such a folder itself, or that of a run (its folder, name or recipe).

    Raises:
        RunError: there is neither.
    """
    path = Path(name)
    if path.is_dir() and any((path / kept).exists() for kept in (SCORES, STATES, samples.TABLE)):
        return path
    return run.named(name, runs).path / FOLDER


def states(folder: Path) -> list[State]:
    """How far everything in an evaluation folder is.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / STATES
    if not path.is_file():
        return []
    try:
        return [State.model_validate(one) for one in json_file.read(path)]
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise RunError(f"{path} is damaged; remove it and evaluate again.") from error


def put_state(folder: Path, new: State) -> None:
    """Replace the state of the same model, suite and benchmark, atomically."""
    kept = {named(state): state for state in states(folder)} | {named(new): new}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([state.model_dump() for state in kept.values()], indent=1)
    write_atomically(folder / STATES, (text + "\n").encode())


def named(one: Score | State) -> Name:
    """What a score or a state is of."""
    return one.model, one.suite, one.benchmark


_NEEDED = tuple(f.name for f in dataclasses.fields(Score) if f.default is dataclasses.MISSING)
_FURTHER = tuple(f.name for f in dataclasses.fields(Score) if f.default is not dataclasses.MISSING)


def _score(row: Mapping[str, Any]) -> Score:
    """A row as a record, whatever kinds of numbers another program wrote."""
    values: dict[str, Any] = {name: _number(row[name]) for name in ("low", "high", "tokens")}
    texts: dict[str, Any] = {name: str(row[name]) for name in ("model", "suite", "benchmark")} | {
        "judge": str(row["judge"] or "")
    }
    further = {name: row[name] for name in _FURTHER if row.get(name) is not None}
    found = Score(**texts, **values, **further, score=float(row["score"]), samples=int(row["samples"]))
    if not all(0 <= value <= 100 for value in (found.score, found.low, found.high) if value is not None):
        raise ValueError(f"{found.model} has no score between 0 and 100 on {found.benchmark}")
    return found


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
