"""Single replies to benchmarks: the append-only table `samples/` of an evaluation folder.

A sample is identified by its `setup`, the content of the benchmark (`benchmark_digest`) and its id, so a resumed
evaluation asks for no reply twice. Of several rows with one key the last counts: failed samples are asked again, and
replies that no judge saw are judged again without asking the model.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.rows import Outcome
from capcurriculum.tables import Table, records

TABLE, IMAGES = "samples", "images"
#: What identifies a reply.
KEY = ("setup", "benchmark_digest", "sample")


@dataclass(frozen=True, slots=True)
class Sample:
    """The reply of a model to one sample of a benchmark, and its grade.

    `model` is the label of the model in results, `weights` the digest of its checkpoint ("" for an endpoint), `setup`
    the digest of all that can change a reply: weights, system turn, sampling, and the `engine`.
    `images` are files below the evaluation folder, named by their digests; `options` the texts of A, B, C, ... (empty
    for a free answer), `gold` a letter or the answer. `prediction` is the whole reply, `answer` what was extracted.
    `outcome` is an `Outcome`; `failed` means unknown (no reply, or no judge; see `detail`).
    `finish` is the engine's finish reason ("" where it gives none), `tokens` the length of the reply in the model's own
    tokens (None: unknown), `judge` the judge model ("" for a program).
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


def samples(folder: Path, *predicates: pl.Expr) -> list[Sample]:
    """The last row of each key among those for which every predicate holds, sorted by key.

    Raises:
        RunError: a shard is damaged.
    """
    last = table(folder).scan().filter(*predicates).unique(KEY, keep="last", maintain_order=True).sort(KEY)
    try:
        return list(records(last.collect(), Sample))
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{folder / TABLE} is damaged ({reason}); remove the shard it names and evaluate again."
        ) from error


def known(folder: Path, setup: str, benchmark_digest: str) -> dict[str, Sample]:
    """Sample id -> its row, for one set-up and one benchmark."""
    found = samples(folder, pl.col("setup") == setup, pl.col("benchmark_digest") == benchmark_digest)
    return {one.sample: one for one in found}


def update(folder: Path, rows: Sequence[Sample]) -> None:
    """Append the rows that differ from those on disk; all are of one set-up and one benchmark."""
    on_disk = known(folder, rows[0].setup, rows[0].benchmark_digest) if rows else {}
    append(folder, [row for row in rows if on_disk.get(row.sample) != row])


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of samples by outcome."""

    right: int
    wrong: int
    unparsed: int
    failed: int

    @property
    def graded(self) -> int:
        """Samples with a known outcome. A reply without a readable answer is known: it is not right."""
        return self.right + self.wrong + self.unparsed


def counts(outcomes: Iterable[str]) -> Counts:
    """Count outcomes."""
    found = Counter(outcomes)
    return Counts(*(found[name] for name in (Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSED, Outcome.FAILED)))
