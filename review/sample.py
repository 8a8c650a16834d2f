"""Which questions are under review, how they were chosen, and what each choice stands for: `review/sample.json`.

The file holds the design with the number of rows behind every stratum, so an estimate can be weighted rightly whatever
becomes of the run later.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from capcurriculum.errors import ReviewError
from capcurriculum.files import checked_json, json_file
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically

FILE = "review/sample.json"


@dataclass(frozen=True, slots=True)
class Design:
    """How a sample is drawn; see `review.design`. The same design of a larger size holds the smaller one."""

    kind: str
    by: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    size: int = 0
    seed: int = 0

    def same_but_for_size(self, other: "Design") -> bool:
        """Whether one of the two samples holds the other."""
        return (self.kind, self.by, self.stages, self.seed) == (other.kind, other.by, other.stages, other.seed)


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one stratum that machines kept, or those that they dropped: how many there are, how many drawn."""

    stratum: str
    kept: bool
    rows: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question of the sample; `probability` is that of its being drawn."""

    question_id: str
    stage: str
    stratum: str
    kept: bool
    probability: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The design, its cells, and the questions drawn, by stratum and id."""

    design: Design
    cells: tuple[Cell, ...]
    drawn: tuple[Drawn, ...]

    @property
    def by_id(self) -> Mapping[str, Drawn]:
        """The drawn questions by their ids."""
        return {drawn.question_id: drawn for drawn in self.drawn}


def save(run: Run, sample: Sample) -> None:
    """Put the sample in the place of an earlier one."""
    path = run.path / FILE
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, checked_json.encode(asdict(sample)))


def load(run: Run) -> Sample | None:
    """The run's sample, None before the first one.

    Raises:
        ReviewError: the file is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    try:
        told: dict[str, Any] = json_file.read(path)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told["design"].items()}
        design = Design(**values)
        return Sample(design, tuple(Cell(**c) for c in told["cells"]), tuple(Drawn(**d) for d in told["drawn"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReviewError(f"{path} is damaged ({error}); remove it and draw the sample again.") from error


def needed(run: Run) -> Sample:
    """The run's sample.

    Raises:
        ReviewError: there is none yet, or it is damaged.
    """
    found = load(run)
    if found is None:
        raise ReviewError(
            f"No question of {run.path} is under review yet; `capcurriculum review export` or `review push` draws a "
            "sample."
        )
    return found
