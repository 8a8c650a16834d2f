"""A temporary store of the kept rows' text and predictions in home order, to write any order in bounded memory.

Tables are in order of creation. polars partitions them into blocks of consecutive home indices, in portions that bound
its memory; then each block is assembled by itself. Reading rows in another order memory-maps a few blocks at a time.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from capcurriculum.errors import RunError
from capcurriculum.ledger.corrections import AS_WRITTEN, Corrections
from capcurriculum.rows import Outcome, Purpose
from capcurriculum.run import Run
from capcurriculum.tables import ANSWERS, QUESTIONS, portions
from curricula import hashing
from curricula.keys import Indices, Keys

#: Rows of a block: about 60 MB with 16 predictions a row.
BLOCK = 65_536
#: The stored columns of a question, beside `predictions` and `correctness`.
COLUMNS = ("question_id", "stage", "problem", "answer", "options", "skill", "image_path", "source", "license", "kind")


@dataclass(frozen=True, slots=True)
class Store:
    """Arrow files `000000.arrow`, ... of `BLOCK` rows each, in home order, below `folder`."""

    folder: Path
    rows: int

    def take(self, rows: Indices) -> pa.Table:
        """The rows of these home indices in their order: `COLUMNS`, `predictions`, `correctness`."""
        by_place = np.argsort(rows, kind="stable")
        places = rows[by_place]
        first, last = (0, 0) if not len(places) else (places[0] // BLOCK, places[-1] // BLOCK)
        cuts = np.searchsorted(places, np.arange(first, last + 2) * BLOCK)
        parts = [
            self._block(first + number).take(pa.array(places[start:end] - (first + number) * BLOCK))
            for number, (start, end) in enumerate(pairwise(cuts))
            if start < end or not len(places)
        ]
        back = np.empty(len(rows), dtype=np.int64)
        back[by_place] = np.arange(len(rows))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))

    def _block(self, number: int) -> pa.RecordBatch:
        return pa.ipc.open_file(pa.memory_map(str(_block_path(self.folder, number)))).get_batch(0)


@contextmanager
def opened(run: Run, keys: Keys, folder: Path, corrected: Corrections = AS_WRITTEN) -> Iterator[Store]:
    """Build the store of a run's rows in `folder`, which is removed at the end; keys and grades are as `corrected`.

    Raises:
        RunError: a table is damaged, or has changed since `keys` was computed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        home = pl.DataFrame({"key": keys.key, "home": np.arange(len(keys), dtype=np.uint32)}).lazy()
        for number, shards in enumerate(portions(run.questions.shards(), QUESTIONS)):
            questions = corrected.questions(pl.scan_parquet(shards, glob=False).select(COLUMNS)).select(COLUMNS)
            _partition(questions, home, folder / "questions" / str(number))
        for number, shards in enumerate(portions(run.answers.shards(), ANSWERS)):
            rollouts = pl.scan_parquet(shards, glob=False).filter(pl.col("purpose") == Purpose.ROLLOUT.value)
            replies = corrected.answers(rollouts).select("question_id", "rollout", "answer", "outcome")
            _partition(replies, home, folder / "answers" / str(number), drop="question_id")
        for number, start in enumerate(range(0, len(keys), BLOCK)):
            _assemble(folder, number, start, min(BLOCK, len(keys) - start))
        yield Store(folder, len(keys))
    except pl.exceptions.PolarsError as error:
        raise RunError(f"A table of {run.path} is damaged ({' '.join(str(error).split())}).") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _partition(table: pl.LazyFrame, home: pl.LazyFrame, folder: Path, drop: str = "key") -> None:
    """Write rows with their home index into one folder for each block."""
    keyed = table.with_columns(key=hashing.id_key(pl.col("question_id")))
    placed = keyed.join(home, on="key", how="inner").with_columns(block=pl.col("home") // BLOCK)
    parts = pl.PartitionBy(folder, key="block", include_key=False)
    placed.drop({"key", drop}).sink_ipc(parts, mkdir=True, compression="lz4", engine="streaming", maintain_order=False)


def _assemble(folder: Path, number: int, start: int, rows: int) -> None:
    """Write one block from its parts, which are removed; the result does not depend on the partition."""

    def parts(table: str) -> pl.DataFrame:
        return pl.scan_ipc(sorted((folder / table).glob(f"*/block={number}/*.ipc")), glob=False).collect()

    questions = parts("questions").sort("home", "source", "skill", "license")
    questions = questions.unique("home", keep="first", maintain_order=True)
    answers = parts("answers").sort("home", "rollout", "answer", "outcome")
    if questions.height != rows:
        raise RunError(f"The questions changed while {folder.parent.parent} was ordered; run the same command again.")
    sizes = np.bincount(answers["home"].to_numpy() - start, minlength=rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    correct = answers.select(_correct()).to_series().to_arrow()
    predictions = answers["answer"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    table = questions.select(COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.cast(pa.schema([(f.name, _small(f.type)) for f in table.schema]))
    table = table.append_column("predictions", pa.ListArray.from_arrays(offsets, predictions))
    table = table.append_column("correctness", pa.ListArray.from_arrays(offsets, correct))
    (batch,) = table.combine_chunks().to_batches()
    with pa.OSFile(str(_block_path(folder, number)), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    for part in folder.glob(f"*/*/block={number}"):
        shutil.rmtree(part)


def _correct() -> pl.Expr:
    """Whether an answer is right, null for unparsed and failed ones."""
    known = pl.col("outcome").is_in([Outcome.RIGHT.value, Outcome.WRONG.value])
    return pl.when(known).then(pl.col("outcome") == Outcome.RIGHT.value)


def _small(kind: pa.DataType) -> pa.DataType:
    """The type with 32-bit offsets, as in stage files; a block is far below 2 GB."""
    if pa.types.is_large_list(kind):
        return pa.list_(_small(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) else kind


def _block_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.arrow"
