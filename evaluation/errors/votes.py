"""The votes of judges, an append-only table in the folder of an analysis, and the decision by majority.

Of several rows of one case, judge and vote number the last counts; only failed votes are asked for again.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.rows import SCHEMA, digest
from capcurriculum.tables import Table, records
from evaluation.errors.kinds import Side, side
from evaluation.results.labels import Measured

FOLDER, TABLE = "errors", "votes"
FAILED = "error"


@dataclass(frozen=True, slots=True)
class Vote:
    """The vote of a judge on a case: a `kind`, or "" for an unreadable one, with the reason in `detail`.

    `judge` is the model's name with a digest of all that can change its votes; `finish` is the finish reason.
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
        """Whether there was no reply, so that the judge is asked again."""
        return self.finish == FAILED


def place(model: Measured) -> Path:
    """The folder of the analysis of a model, below its evaluation folder; unique for each label."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", model.model).strip("._")[:40] or "model"
    return model.folder / FOLDER / f"{plain}-{digest(SCHEMA, 'errors of', model.model)[:6]}"


def table(folder: Path) -> Table[Vote]:
    """The table of votes in an analysis folder."""
    return Table(folder / TABLE, Vote)


def known(folder: Path, judges: Iterable[str]) -> dict[tuple[str, str, int], Vote]:
    """(case, judge, vote number) -> the last vote, for these judges."""
    mine = table(folder).scan().filter(pl.col("judge").is_in(list(judges)))
    last = mine.unique(["case", "judge", "vote"], keep="last", maintain_order=True)
    return {(one.case, one.judge, one.vote): one for one in records(last.collect(), Vote)}


@dataclass(frozen=True, slots=True)
class Decision:
    """The side of a case, `UNSURE` without a majority, None for unknown; and its kind, "" without a majority."""

    side: Side | None
    kind: str = ""


def decide(votes: Sequence[str], asked: int) -> Decision:
    """The majority of the readable votes; `votes` are kinds, "" for an unreadable one.

    Unknown unless more than half of the `asked` votes are readable. The side is decided before the kind: two votes for
    different kinds of perception and one for reasoning make an error of perception of no clear kind.
    """
    readable = [vote for vote in votes if vote]
    if 2 * len(readable) <= asked:
        return Decision(None)
    sides = Counter(side(vote) for vote in readable)
    winner = next((one for one, count in sides.items() if 2 * count > len(readable)), Side.UNSURE)
    kinds = Counter(vote for vote in readable if side(vote) is winner).most_common(2)
    clear = bool(kinds) and (len(kinds) == 1 or kinds[0][1] > kinds[1][1])
    return Decision(winner, kinds[0][0] if clear and winner is not Side.UNSURE else "")


def decisions(votes: Iterable[tuple[str, str]], cases: Iterable[str], asked: int = 0) -> dict[str, Decision]:
    """Case -> the decision by its (case, kind) votes of `asked` (0: as many as there are)."""
    kinds: dict[str, list[str]] = {case: [] for case in cases}
    for case, kind in votes:
        kinds[case].append(kind)
    return {case: decide(found, asked or len(found)) for case, found in kinds.items()}
