"""Single replies to benchmarks: the table `samples/` of an evaluation folder, which only ever grows.

A sample is known by who was asked how (`setup`), the benchmark's content (`benchmark_digest`) and its id, so a killed
evaluation asks nobody twice. Of several rows with one key the last counts: what failed is asked again, and what a judge
had not seen is judged again without asking the model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.rows import Outcome
from capcurriculum.tables import Table, records

TABLE, IMAGES = "samples", "images"
#: What names a reply.
KEY = ("setup", "benchmark_digest", "sample")


@dataclass(frozen=True, slots=True)
class Sample:
    """A model's reply to one sample of a benchmark, and what it is worth.

    `model` is the label that scores bear; `weights` the digest of its checkpoint ("" for an endpoint that does not
    tell) and `setup` that of all that can change a reply: weights, system turn, sampling, and who asks (`engine`).
    `images` are files below the evaluation folder, named by their digests; `options` the texts of A, B, C, ... (empty
    for a free answer), `gold` a letter or the answer. `prediction` is the whole reply, `answer` what was read in it.
    `outcome` is an `Outcome`; `failed` means that nothing is known (no reply, or no judge: `detail` says which).
    `finish` is the engine's reason to stop ("" where the engine does not tell), `tokens` the length of the reply in the
    model's own tokens (None: unknown), `judge` who graded ("" for a program).
    """

    model: str
    suite: str
    benchmark: str
    sample: str
    setup: str
    benchmark_digest: str
    images: tuple[str, ...]
    question: str
    options: tuple[str, ...]
    gold: str
    prediction: str
    answer: str
    outcome: str
    detail: str = ""
    finish: str = ""
    tokens: int | None = None
    judge: str = ""
    engine: str = ""
    weights: str = ""
    skill: str = ""


def table(folder: Path) -> Table[Sample]:
    """The table of an evaluation folder, to append to."""
    return Table(folder / TABLE, Sample)


def append(folder: Path, rows: Iterable[Sample]) -> int:
    """Write rows as one new shard, atomically; returns how many."""
    return table(folder).append(rows)


def frame(folder: Path, *predicates: pl.Expr) -> pl.DataFrame:
    """The rows that count and for which every predicate holds, in the order of their keys.

    Raises:
        RunError: a shard is damaged.
    """
    last = table(folder).scan().filter(*predicates).unique(KEY, keep="last", maintain_order=True).sort(KEY)
    try:
        return last.collect()
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{folder / TABLE} is damaged ({reason}); remove the shard it names and evaluate again."
        ) from error


def samples(folder: Path, *predicates: pl.Expr) -> list[Sample]:
    """`frame` as records."""
    return list(records(frame(folder, *predicates), Sample))


def known(folder: Path, setup: str, benchmark_digest: str) -> dict[str, Sample]:
    """Sample id -> its row, of one model on one benchmark: what need not be asked again, unless it failed."""
    found = samples(folder, pl.col("setup") == setup, pl.col("benchmark_digest") == benchmark_digest)
    return {one.sample: one for one in found}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many samples came out how."""

    right: int
    wrong: int
    unparsed: int
    failed: int

    @property
    def graded(self) -> int:
        """Those that something is known of. A reply without an answer is one: it is not right, whoever asked."""
        return self.right + self.wrong + self.unparsed


def counts(outcomes: Iterable[str]) -> Counts:
    """Count outcomes."""
    found = list(outcomes)
    return Counts(
        *(found.count(outcome) for outcome in (Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSED, Outcome.FAILED))
    )
