"""What people say of a sample of cases: a table that only ever grows; the last word of each person on a case counts.

People are asked what judges are asked, and are not shown what judges said. Names are kept as pseudonyms.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.recipe.review import ReviewSection
from capcurriculum.run import Run
from capcurriculum.tables import Table, records
from evaluation.errors.decide import Decision, decide
from review import pseudonyms

TABLE = "people"
MAX_COMMENT = 4_000
_SECTION = ReviewSection()


@dataclass(frozen=True, slots=True)
class Said:
    """One person's word on one case; `kind` is "" where it was taken back. `said_at` is ISO 8601 in UTC."""

    case: str
    person: str
    origin: str
    said_at: str
    kind: str
    comment: str = ""


def table(folder: Path) -> Table[Said]:
    """What people said of the cases of an analysis."""
    return Table(folder / TABLE, Said)


def named(folder: Path, name: str) -> str:
    """What the table calls a person."""
    return pseudonyms.named(Run(folder), _SECTION, name.strip())


def keep(folder: Path, said: Iterable[Said]) -> int:
    """Append what is new; returns how much that is."""
    known = set(table(folder).frame().iter_rows())
    new = {row: one for one in said if (row := _row(one)) not in known}
    return table(folder).append(new.values())


def _row(one: Said) -> tuple[str, ...]:
    return one.case, one.person, one.origin, one.said_at, one.kind, one.comment


def last(folder: Path) -> list[Said]:
    """The last word of each person on each case, of those that stand."""
    frame = table(folder).scan().sort("said_at", maintain_order=True)
    frame = frame.unique(["case", "person"], keep="last", maintain_order=True)
    return list(records(frame.filter(pl.col("kind") != "").sort("case", "person").collect(), Said))


def decisions(said: Iterable[Said]) -> dict[str, Decision]:
    """Case -> what most of the people who looked at it say."""
    kinds: Mapping[str, list[str]] = defaultdict(list)
    for one in said:
        kinds[one.case].append(one.kind)
    return {key: decide(own, len(own)) for key, own in kinds.items()}
