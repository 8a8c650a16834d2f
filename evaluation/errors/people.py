"""The answers of people on a sample of cases: an append-only table; each person's last answer on a case counts.

People see what judges see, but not the votes. Names are stored as pseudonyms.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

import polars as pl

from capcurriculum.recipe.review import ReviewSection
from capcurriculum.run import Run
from capcurriculum.tables import Table, records
from evaluation.errors import votes
from evaluation.errors.votes import Decision
from review import pseudonyms

TABLE = "people"
MAX_COMMENT = 4_000
_SECTION = ReviewSection()


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """One person's answer on one case; `kind` is "" for a retracted one. `said_at` is ISO 8601 in UTC."""

    case: str
    person: str
    origin: str
    said_at: str
    kind: str
    comment: str = ""


@dataclass(slots=True)
class Imported:
    """Counts of an import: new answers, known ones, those on `strange` cases, and rejected lines by reason."""

    new: int = 0
    known: int = 0
    strange: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def keep(self, folder: Path, labels: Sequence[HumanLabel]) -> "Imported":
        """Append the new ones of these labels, and count them."""
        self.new = keep(folder, labels)
        self.known = len(labels) - self.new
        return self

    def __str__(self) -> str:
        return f"{self.new} new answers, {self.known} known, {self.strange} about other cases."


def table(folder: Path) -> Table[HumanLabel]:
    """The table of answers in an analysis folder."""
    return Table(folder / TABLE, HumanLabel)


def named(folder: Path, name: str) -> str:
    """The pseudonym of a person."""
    return pseudonyms.named(Run(folder), _SECTION, name.strip())


def keep(folder: Path, labels: Iterable[HumanLabel]) -> int:
    """Append the labels that the table does not have yet; returns how many."""
    known = set(table(folder).frame().iter_rows())
    return table(folder).append({row: one for one in labels if (row := astuple(one)) not in known}.values())


def last(folder: Path) -> list[HumanLabel]:
    """The last answer of each person on each case, without retracted ones."""
    frame = table(folder).scan().sort("said_at", maintain_order=True)
    frame = frame.unique(["case", "person"], keep="last", maintain_order=True)
    return list(records(frame.filter(pl.col("kind") != "").sort("case", "person").collect(), HumanLabel))


def decisions(labels: Sequence[HumanLabel]) -> dict[str, Decision]:
    """Case -> the majority of the people who answered on it."""
    return votes.decisions(((one.case, one.kind) for one in labels), (one.case for one in labels))
