"""The rows that a refresh leaves in a stage, in files that the trainer reads instead of the set's own.

Rows are copied as they are, with the pass rates they were built with. Rows of equal new rate stay in the order they
had, so one pass over the set for each of the few rates writes them in order without holding a set in memory.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capcurriculum.errors import RunError, TrainerError
from capcurriculum.files import checksums, json_file
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.tables import write_atomically
from curricula.stage_rows import ROW_GROUP
from curricula.write import write_split
from training.plan import files_digest
from training.stage_files import StageFiles, count, train_files

_RECORD = "made.json"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The files of a refreshed stage; `rows` were asked, with `rollouts` replies, by the checkpoint named `by`.

    Files that are not `whole` are damaged or gone; the answers in the run make the same again.
    """

    files: StageFiles
    by: str
    rows: int
    rollouts: int
    whole: bool = True


def recorded(files: StageFiles, by: str, bound: Mapping[str, object], folder: Path) -> Refreshed | None:
    """The refreshed files if they were made of `files` by this checkpoint under this section; None if not."""
    try:
        record = json_file.mapping(folder / _RECORD)
    except (OSError, ValueError):
        return None
    if (record.get("source"), record.get("by"), record.get("section")) != (files.digest, by, dict(bound)):
        return None
    train = train_files([folder])
    made = replace(files, train=train, rows=record["left"], digest=record["digest"])
    try:
        checksums.check([*train])
        whole = count(train) == made.rows
    except (RunError, TrainerError):
        whole = False
    return Refreshed(made, by, record["rows"], record["rollouts"], whole)


def made_from(folder: Path, made: str) -> str:
    """The digest of the set from which files of the digest `made` were written; `made` itself if none were."""
    try:
        record = json_file.mapping(folder / _RECORD)
    except (OSError, ValueError):
        return made
    return str(record["source"]) if record.get("digest") == made else made


def write(
    files: StageFiles, rates: Mapping[str, float], order: str, about: tuple[str, int, int, Mapping[str, object]],
    folder: Path,
) -> Refreshed:  # fmt: skip
    """Replace `folder` by the rows of `files` that have a rate.

    Args:
        files: the set. rates: question id -> new pass rate. order: as in `RefreshSection`.
        about: the checkpoint's name, the numbers of rows and replies, and what the section is bound to.
        folder: is replaced as a whole.
    """
    by, rows, rollouts, bound = about
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    with removed_if_it_fails(temporary):
        temporary.mkdir(parents=True)
        schema = pq.read_schema(files.train[0])
        write_split(_groups(files.train, rates, order), schema, temporary, "train")
        train = train_files([temporary])
        made = replace(files, train=train, rows=count(train), digest=files_digest([*train, *files.val]))
        record: dict[str, Any] = {"source": files.digest, "by": by, "section": dict(bound), "digest": made.digest}
        record |= {"left": made.rows, "rows": rows, "rollouts": rollouts}
        write_atomically(temporary / _RECORD, json.dumps(record, indent=1).encode())
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    return Refreshed(replace(made, train=train_files([folder])), by, rows, rollouts)


def _groups(paths: Sequence[Path], rates: Mapping[str, float], order: str) -> Iterator[pa.Table]:
    """Row groups of the rows that have a rate, in the new order."""
    values = sorted(set(rates.values()), reverse=order == "easy_to_hard")
    passes = [list(rates)] if order == "as_built" else [[one for one in rates if rates[one] == v] for v in values]
    waiting: list[pa.Table] = []
    for names in passes:
        for part in _rows(paths, pa.array(names, pa.string())):
            waiting.append(part)
            if sum(one.num_rows for one in waiting) >= ROW_GROUP:
                together = pa.concat_tables(waiting)
                yield together.slice(0, ROW_GROUP)
                waiting = [together.slice(ROW_GROUP)]
    if rest := [one for one in waiting if one.num_rows]:
        yield pa.concat_tables(rest)


def _rows(paths: Sequence[Path], names: pa.Array) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(ROW_GROUP):
                table = pa.Table.from_batches([batch], file.schema_arrow)
                chosen = table.filter(pc.is_in(table.column("question_id"), value_set=names))
                if chosen.num_rows:
                    yield chosen
