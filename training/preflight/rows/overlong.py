"""The files a trainer reads where some rows are too long for it: without those rows, or with smaller pictures in them.

Written below the stage's own folder, from the same rows in the same order, files without such a row as links; what was
done to which row is a table of verdicts beside them. Their digest follows from the digest of the set's own files and
from what is done to which row, so a plan binds a stage to it before a byte is written, and files that are there already
are not written again.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.files import checksums, json_file
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.reasons import Reason
from capcurriculum.rows import Verdict, digest
from capcurriculum.tables import Table, write_atomically
from curricula.stage_rows import ROW_GROUP
from curricula.write import settings
from training.plan import files_digest
from training.preflight.rows.pool import Pool
from training.preflight.rows.slices import Overlong, Slice
from training.selection import link
from training.stage_files import StageFiles

_RECORD = "made.json"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to one set. `rows` are the overlong ones, `slices` those that hold them."""

    policy: str
    limit: int
    settings_digest: str
    rows: Sequence[Overlong]
    slices: Sequence[Slice]

    def by_file(self, number: int) -> dict[int, Overlong]:
        """Place in the file -> overlong row."""
        return {one.row: one for one in self.rows if one.number == number}


def changed(files: StageFiles, change: Change, folder: Path) -> StageFiles:
    """The set as the trainer will read it, once `make` has made it; `folder` is where all its files will lie."""
    dropped = sum(one.number < len(files.train) for one in change.rows) if change.policy == "drop" else 0
    rows = [(one.number, one.row, one.fit) for one in change.rows]
    told = digest(files.digest, "overlong", change.policy, change.limit, rows)
    return _named(files, folder, files.rows - dropped, told)


def recorded(files: StageFiles, policy: str, limit: int, folder: Path) -> StageFiles:
    """The set as it was changed before under the same choice and limit; the set itself where it was not."""
    told = _record(folder)
    if told is None or (told["source"], told["policy"], told["limit"]) != (files.digest, policy, limit):
        return files
    return _named(files, folder, told["rows"], told["digest"])


def made_from(folder: Path, told: str) -> str:
    """The digest of the set that the changed files of digest `told` were made from; `told` where none were made."""
    record = _record(folder)
    return str(record["source"]) if record is not None and record["digest"] == told else told


def make(files: StageFiles, change: Change, folder: Path, pool: Pool) -> StageFiles:
    """Write the changed set, unless it is there, and return it."""
    target = changed(files, change, folder)
    if _made(target, folder):
        return target
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    with removed_if_it_fails(temporary):
        _write(files, target, change, temporary, pool)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    return target


def _write(files: StageFiles, target: StageFiles, change: Change, temporary: Path, pool: Pool) -> None:
    """The files, the verdicts and the record of a changed set, in a folder that is not its own yet."""
    temporary.mkdir(parents=True)
    small = _small(change, pool) if change.policy == "downscale" else None
    written = []
    for number, (path, new) in enumerate(zip([*files.train, *files.val], [*target.train, *target.val], strict=True)):
        if overlong := change.by_file(number):
            _rewrite(path, temporary / new.name, overlong, small)
            written.append(new.name)
        else:
            link(str(path), str(temporary / new.name))
    Table(temporary / "verdicts", Verdict).append(verdicts(files.stage, change))
    record = {
        "source": files.digest,
        "policy": change.policy,
        "limit": change.limit,
        "digest": target.digest,
        "rows": target.rows,
        "written": written,
        "written_digest": files_digest(temporary / name for name in written),
    }
    write_atomically(temporary / _RECORD, json.dumps(record, indent=1).encode())


def _named(files: StageFiles, folder: Path, rows: int, told: str) -> StageFiles:
    """The files of a changed set, named as those of a built one."""
    train, val = (
        tuple(folder / f"{split}-{number:05d}-of-{len(paths):05d}.parquet" for number in range(len(paths)))
        for split, paths in (("train", files.train), ("val", files.val))
    )
    return StageFiles(files.stage, train, val, rows, told)


def verdicts(stage: str, change: Change) -> list[Verdict]:
    """What is done to each overlong row and why, in the ledger's own form."""
    drop = change.policy == "drop"
    reason = Reason.PROMPT_TOO_LONG if drop else Reason.PICTURES_SMALLER
    return [
        Verdict(
            question_id=one.question_id,
            stage=stage,
            filter="overlong",
            keep=not drop,
            reason=reason,
            detail=f"{one.tokens} tokens, {one.image_tokens} of them for pictures; at most {change.limit}",
            params=change.settings_digest,
        )
        for one in change.rows
    ]


def _made(target: StageFiles, folder: Path) -> bool:
    """Whether the files are there; of those that are links only that they exist, for they are the set's own."""
    record = _record(folder)
    if record is None or record["digest"] != target.digest:
        return False
    if not all(path.is_file() for path in (*target.train, *target.val)):
        return False
    return bool(record["written_digest"] == files_digest(folder / name for name in record["written"]))


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json_file.read(folder / _RECORD)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _small(change: Change, pool: Pool) -> Iterator[dict[int, list[bytes]]]:
    """Smaller pictures by their rows' places in their file, slice by slice, in the order of files and rows."""
    fits = {(one.number, one.row): one.fit for one in change.rows}
    wanted = []
    for part in change.slices:
        inside = {
            row: fit
            for (number, row), fit in fits.items()
            if number == part.number and part.first + part.start <= row < part.first + part.stop and fit is not None
        }
        wanted.append((part, inside, change.limit))
    yield from pool.ordered("shrunk", wanted)


def _rewrite(
    source: Path, target: Path, overlong: Mapping[int, Overlong], small: Iterator[dict[int, list[bytes]]] | None
) -> None:
    """Copy a file without its overlong rows or, given `small`, with smaller pictures in them."""
    ready: dict[int, list[bytes]] = {}
    with (
        pq.ParquetFile(source, memory_map=True) as file,
        pq.ParquetWriter(target, file.schema_arrow, **settings(file.schema_arrow)) as writer,
    ):
        start = 0
        for batch in file.iter_batches(ROW_GROUP):
            places = [place for place in range(start, start + batch.num_rows) if place in overlong]
            if small is None:
                keep = [number for number in range(batch.num_rows) if start + number not in overlong]
                kept = batch.take(pa.array(keep, pa.int64())) if places else batch
            else:
                while not set(places) <= ready.keys():
                    ready |= next(small)
                kept = _with_pictures(batch, {place - start: ready.pop(place) for place in places})
            start += batch.num_rows
            if kept.num_rows:
                writer.write_batch(kept)
    with target.open("r+b") as written:
        checksums.seal(written)


def _with_pictures(batch: pa.RecordBatch, small: Mapping[int, list[bytes]]) -> pa.RecordBatch:
    """The batch with other bytes in the pictures of some rows."""
    if not small:
        return batch
    place = batch.schema.get_field_index("images")
    images = batch.column(place).to_pylist()
    for number, data in small.items():
        images[number] = [image | {"bytes": one} for image, one in zip(images[number], data, strict=True)]
    columns = [
        pa.array(images, batch.schema.field(place).type) if n == place else c for n, c in enumerate(batch.columns)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def parts_with(rows: Sequence[Overlong], slices: Sequence[Slice]) -> list[Slice]:
    """The slices that hold any of the rows, in the order of files and rows."""
    wanted = {number: {one.row for one in group} for number, group in groupby(rows, key=lambda one: one.number)}
    return [
        part
        for part in slices
        if any(part.first + part.start <= row < part.first + part.stop for row in wanted.get(part.number, ()))
    ]
