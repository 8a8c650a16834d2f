"""Stage files as benchmarks: the test split of a run, or a Parquet file of that schema, with its own prompts."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import EvaluationError
from capcurriculum.files import checksums
from capcurriculum.run import Run
from datagen.image_decoding import ImageProblem
from evaluation.benchmarks.benchmark import Benchmark, Item, gold_fault, made
from evaluation.benchmarks.images import ImageStore

_NEEDED = ("problem", "answer", "images")
_OTHER = ("question_id", "index", "options", "skill", "kind")
_BATCH = 64
_PLACEHOLDER = "<image>"


def read(path: Path, images: ImageStore, limit: int | None = None, name: str = "") -> Benchmark:
    """The benchmark in a Parquet file, or its first `limit` samples.

    Raises:
        EvaluationError: it is no stage file, or cannot be read.
        RunError: it is damaged.
    """
    checksums.check([path])
    try:
        with pq.ParquetFile(path) as file:
            columns = set(file.schema_arrow.names)
            if lacking := [needed for needed in _NEEDED if needed not in columns]:
                raise EvaluationError(f"{path} has no column {lacking[0]}, so it is no stage file.")
            wanted = [column for column in (*_NEEDED, *_OTHER) if column in columns]
            return made(name or path.stem, _items(file, wanted, images, limit), path)
    except (OSError, pa.ArrowException) as error:
        raise EvaluationError(f"The benchmark {path} cannot be read: {error}.") from error


def test_files(run: Run) -> dict[str, Path]:
    """Name -> file of the test split of every stage of a run; raises `EvaluationError` if the run has no test split."""
    found = {f"{path.parent.name}_test": path for path in sorted(run.stages.glob("*/test-*.parquet"))}
    if not found:
        raise EvaluationError(f"The run {run.path} has no test rows; build it first, or give its split.test a share.")
    return found


def _items(file: pq.ParquetFile, columns: list[str], images: ImageStore, limit: int | None) -> Iterator[Item]:
    rows = (row for batch in file.iter_batches(_BATCH, columns=columns) for row in batch.to_pylist())
    for number, row in enumerate(islice(rows, limit)):
        yield _item(row, str(row.get("question_id") or row.get("index") or number), images)


def _item(row: Mapping[str, Any], sample: str, images: ImageStore) -> Item:
    problem, gold = str(row["problem"] or "").removeprefix(_PLACEHOLDER), str(row["answer"] or "").strip()
    options = tuple(map(str, row.get("options") or ()))
    fault = gold_fault(gold, options)
    shown: tuple[str, ...] = ()
    try:
        shown = tuple(images.keep(image["bytes"] or b"") for image in row["images"] or ())
    except ImageProblem as error:
        fault = error.detail
    kind = "" if options else str(row.get("kind") or "")
    return Item(sample, problem, problem, options, gold, shown, str(row.get("skill") or ""), fault, kind)
