"""The record of a comparison of models on the same samples: `comparison.json`, written by `compare` and read by cards.

It contains measured numbers only, no published ones. Scores are in percent and gains in percentage points.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum import mean_intervals
from capcurriculum.errors import RunError

FOLDER, FILE, VERSION = "comparisons", "comparison.json", 1
_Percent = Annotated[float, Field(ge=0, le=100)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(_Record):
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Ratio(_Record):
    """A ratio with the ends of its 95 % interval, None where there are too few samples for one."""

    value: float
    low: float | None
    high: float | None


class Compared(_Record):
    """A model: its name in the comparison, its label in the results, and its checkpoint's digest ("" unknown)."""

    name: str
    model: str
    weights: str = ""


class Standing(_Record):
    """A model on a benchmark; `score` is None for an unfinished benchmark (see `state`)."""

    name: str
    suite: str
    benchmark: str
    digest: str
    setup: str
    metric: str = ""
    score: _Percent | None = None
    low: _Percent | None = None
    high: _Percent | None = None
    samples: int = 0
    unparsed: int | None = None
    tokens: float | None = None
    judge: str = ""
    state: str = ""


class Line(_Record):
    """Two models on the samples of a benchmark whose outcome is known for both.

    `before` and `after` are their accuracies over these `pairs` samples, which differ from scores where outcomes are
    unknown. `unknown` samples are known for at most one model; `least` and `most` are the gains if all of them went
    against the second model, or for it. `only_before` and `only_after` count samples that only one model has right, `p`
    is McNemar's exact test on them, and `p_holm` is adjusted for the benchmarks of the pair. `length` is the second
    model's mean reply length over the first's, over the `lengths` samples where both are known.
    """

    suite: str
    benchmark: str
    pairs: int
    unknown: int
    before: _Percent
    after: _Percent
    gain: Interval
    least: float
    most: float
    only_before: int
    only_after: int
    p: float
    p_holm: float
    length: Ratio | None = None
    lengths: int = 0
    finished: bool = True

    @property
    def too_few(self) -> bool:
        """Whether there are too few samples to tell a gain from a loss."""
        return mean_intervals.too_few(self.pairs, self.gain.low, self.gain.high)


class Group(_Record):
    """The unweighted mean gain over several benchmarks, and the ratio of mean reply lengths."""

    name: str
    benchmarks: tuple[str, ...]
    gain: Interval
    length: Ratio | None = None


class Pair(_Record):
    """The gains of the model `after` over the model `before`, by benchmark and by group."""

    before: str
    after: str
    lines: tuple[Line, ...]
    groups: tuple[Group, ...] = ()


class Curve(_Record):
    """A model's accuracy at each number of tokens of a `Budget`."""

    name: str
    accuracy: tuple[_Percent, ...]
    low: tuple[_Percent, ...]
    high: tuple[_Percent, ...]


class Budget(_Record):
    """Accuracy at equal length: the share of replies that are right and have at most so many `tokens`.

    The mean over `benchmarks`, over the `samples` whose outcome and length are known for all models.
    """

    benchmarks: tuple[str, ...]
    samples: int
    tokens: tuple[int, ...]
    curves: tuple[Curve, ...]


class Comparison(_Record):
    """A comparison of the first model with the others; `draws` is the number of bootstrap draws."""

    version: int = VERSION
    models: tuple[Compared, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    budget: Budget | None = None
    draws: int

    def scores(self, name: str) -> dict[str, float]:
        """Benchmark -> score of a model, for finished benchmarks."""
        return {one.benchmark: one.score for one in self.standings if one.name == name and one.score is not None}


def load(path: Path) -> Comparison:
    """Read a comparison; raises `RunError` where the file is damaged or of another version."""
    try:
        found = Comparison.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read; remove it and compare again.") from error
    if found.version != VERSION:
        raise RunError(f"{path} is of version {found.version}, and this is {VERSION}; compare again.")
    return found


def comparisons(evaluation: Path) -> list[Comparison]:
    """The comparisons of an evaluation folder, sorted by folder name; raises `RunError` where one is damaged."""
    return [load(path) for path in sorted((evaluation / FOLDER).glob(f"*/{FILE}"))]
