"""Models compared on the same samples: the `comparison.json` that `compare` writes and cards read.

Everything in it was measured here; published numbers are never part of it. Scores and gains are in percent and points.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


class Compared(_Record):
    """A model: what the comparison calls it, its label in the results, and its checkpoint's digest ("" unknown)."""

    name: str
    model: str
    weights: str = ""


class Standing(_Record):
    """A compared model on a benchmark, as evaluation left it; `score` is None where it is not finished (`state`)."""

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

    `before` and `after` are their accuracies over these `pairs` samples, so they differ from scores where some outcomes
    are unknown. `unknown` samples are known for one model at most; `least` and `most` are the gains if all of them had
    gone against the second model, or for it. `only_before` and `only_after` are samples that one model alone has right,
    `p` is McNemar's exact test on them, and `p_holm` is adjusted for the number of benchmarks of the pair. `length` is
    the second model's mean reply in tokens over the first one's, over the `lengths` samples where both are known.
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
    length: Interval | None = None
    lengths: int = 0
    finished: bool = True


class Group(_Record):
    """The mean gain over several benchmarks, each as much, and the ratio of mean reply lengths, averaged alike."""

    name: str
    benchmarks: tuple[str, ...]
    gain: Interval
    length: Interval | None = None


class Pair(_Record):
    """What the model `after` gains over the model `before`, by benchmark and by group."""

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
    """Accuracy at equal length: a reply counts as right if it is right and has at most so many `tokens`.

    It is over the `samples` whose outcome and length are known for all compared models, the mean over `benchmarks`.
    """

    benchmarks: tuple[str, ...]
    samples: int
    tokens: tuple[int, ...]
    curves: tuple[Curve, ...]


class Comparison(_Record):
    """All of it; the first model is what the others are compared with."""

    version: int = VERSION
    models: tuple[Compared, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    budget: Budget | None = None
    draws: int

    def scores(self, name: str) -> dict[str, float]:
        """Benchmark -> score of a compared model, of those that are finished."""
        return {one.benchmark: one.score for one in self.standings if one.name == name and one.score is not None}


def load(path: Path) -> Comparison:
    """A comparison's file.

    Raises:
        RunError: it is damaged, or of another version.
    """
    try:
        found = Comparison.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read; remove it and compare again.") from error
    if found.version != VERSION:
        raise RunError(f"{path} is of version {found.version}, and this is {VERSION}; compare again.")
    return found


def comparisons(evaluation: Path) -> list[Comparison]:
    """All that an evaluation folder holds, by the names of their folders; none is no error.

    Raises:
        RunError: one is damaged.
    """
    return [load(path) for path in sorted((evaluation / FOLDER).glob(f"*/{FILE}"))]
