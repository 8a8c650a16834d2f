"""The questions under review, their design and inclusion probabilities: `review/sample.json`.

The file keeps the number of rows of every stratum, so estimates stay correctly weighted when the run changes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from capcurriculum.errors import ReviewError
from capcurriculum.files import checked_json, json_file
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically

FILE = "review/sample.json"


@dataclass(frozen=True, slots=True)
class Design:
    """How a sample is drawn; see `review.design`."""

    kind: str
    by: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    size: int = 0
    seed: int = 0

    def same_but_for_size(self, other: "Design") -> bool:
        """Whether one of the two samples contains the other."""
        return self == replace(other, size=self.size)


@dataclass(frozen=True, slots=True)
class Cell:
    """The kept, or the dropped, rows of one stratum: how many there are and how many were drawn."""

    stratum: str
    kept: bool
    rows: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question of the sample with its inclusion probability."""

    question_id: str
    stage: str
    stratum: str
    kept: bool
    probability: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The design, its cells, and the drawn questions sorted by stratum and id."""

    design: Design
    cells: tuple[Cell, ...]
    drawn: tuple[Drawn, ...]

    @property
    def by_id(self) -> Mapping[str, Drawn]:
        """The drawn questions by their ids."""
        return {drawn.question_id: drawn for drawn in self.drawn}


def save(run: Run, sample: Sample) -> None:
    """Write the sample, replacing an earlier one."""
    path = run.path / FILE
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, checked_json.encode(asdict(sample)))


def load(run: Run) -> Sample | None:
    """The run's sample, None if there is none.

    Raises:
        ReviewError: the file is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    try:
        found = json_file.mapping(path)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found["design"].items()}
        cells, drawn = (Cell(**cell) for cell in found["cells"]), (Drawn(**one) for one in found["drawn"])
        return Sample(Design(**values), tuple(cells), tuple(drawn))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReviewError(f"{path} is damaged ({error}); remove it and draw the sample again.") from error


def needed(run: Run) -> Sample:
    """The run's sample.

    Raises:
        ReviewError: there is none, or the file is damaged.
    """
    found = load(run)
    if found is None:
        raise ReviewError(
            f"No question of {run.path} is under review yet; `capcurriculum review export` or `review push` draws a "
            "sample."
        )
    return found
