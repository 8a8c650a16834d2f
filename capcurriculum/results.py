"""What was measured of models: `evaluation/` of a run, as evaluation writes it and cards read it.

- `heldout-*.json`: a list of `HeldOut`, one for each model and held-out stage (written by `evaluation.heldout`).
- `results.parquet`: one row for each model and benchmark with the columns of `Score`; further columns are passed over,
  and so are rows with a `sample`, which are single replies.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import RunError

FOLDER, SCORES, HELD_OUT = "evaluation", "results.parquet", "heldout-*.json"


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

    `tokens` is the mean length of a reply, `judge` who graded ("" for a program).
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


def held_out(folder: Path) -> list[HeldOut]:
    """All that a run folder holds of held-out accuracy, whichever rows and models it is of; none is no error.

    Raises:
        RunError: a file is damaged.
    """
    found: list[HeldOut] = []
    for path in sorted((folder / FOLDER).glob(HELD_OUT)):
        try:
            found += [HeldOut.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError, ValidationError) as error:
            raise RunError(f"{path} is damaged; remove it and evaluate again.") from error
    return found


def scores(folder: Path) -> list[Score]:
    """What a run folder holds of benchmark scores; none is no error.

    Raises:
        RunError: the file is damaged, or lacks a column.
    """
    path = folder / FOLDER / SCORES
    if not path.is_file():
        return []
    names = [field.name for field in dataclasses.fields(Score)]
    try:
        frame = pl.read_parquet(path)
        if "sample" in frame.columns:
            frame = frame.filter(pl.col("sample").cast(pl.String).fill_null("") == "")
        return list(_rows(frame.select(names).iter_rows()))
    except (pl.exceptions.PolarsError, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{path} cannot be read ({reason}); evaluate again, its columns are {', '.join(names)}."
        ) from error


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterable[Score]:
    for model, suite, benchmark, score, low, high, samples, tokens, judge in rows:
        found = Score(str(model), str(suite), str(benchmark), float(score), _number(low), _number(high), int(samples),
                      _number(tokens), str(judge or ""))  # fmt: skip
        if not all(0 <= value <= 100 for value in (found.score, found.low, found.high) if value is not None):
            raise ValueError(f"{model} has no score between 0 and 100 on {benchmark}")
        yield found


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
