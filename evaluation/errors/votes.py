"""Where an analysis of a model's errors lies, and the votes of its judges: a table that only ever grows.

Of several rows of one case, judge and vote the last counts: a vote that failed is asked for again, and no other is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.rows import SCHEMA, digest
from capcurriculum.tables import Table, records
from evaluation.results.labels import Measured

FOLDER, TABLE = "errors", "votes"
FAILED = "error"


@dataclass(frozen=True, slots=True)
class Vote:
    """What a judge said of a case: a `kind`, or "" for none that could be read, `detail` being why.

    `judge` names the model with a digest of all that can change what it says; `finish` is the engine's reason to stop.
    """

    case: str
    judge: str
    vote: int
    kind: str
    seen: str
    mistake: str
    detail: str
    finish: str
    tokens_in: int
    tokens_out: int
    request_key: str

    @property
    def failed(self) -> bool:
        """Whether the judge gave nothing, so that it can be asked again."""
        return self.finish == FAILED


def place(model: Measured) -> Path:
    """The folder of a model's errors in its evaluation folder; another label has another one."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", model.model).strip("._")[:40] or "model"
    return model.folder / FOLDER / f"{plain}-{digest(SCHEMA, 'errors of', model.model)[:6]}"


def table(folder: Path) -> Table[Vote]:
    """The votes of an analysis."""
    return Table(folder / TABLE, Vote)


def known(folder: Path, judges: Iterable[str]) -> dict[tuple[str, str, int], Vote]:
    """(case, judge, vote) -> the vote that counts, of these judges."""
    mine = table(folder).scan().filter(pl.col("judge").is_in(list(judges)))
    last = mine.unique(["case", "judge", "vote"], keep="last", maintain_order=True)
    return {(one.case, one.judge, one.vote): one for one in records(last.collect(), Vote)}
