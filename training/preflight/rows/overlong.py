"""Replacements for a set's files if some rows are too long: without those rows, or with smaller images in them.

They are written below the stage's folder, with the same rows in the same order; files without overlong rows are linked,
and a table of verdicts records each change. Their digest is derived from that of the set's files and from the changes,
so a plan can bind a stage to it before they are written, and complete files are not written again.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    """The change of one set, read by `slices`: its overlong rows."""

    policy: str
    limit: int
    settings_digest: str
    rows: Sequence[Overlong]
    slices: Sequence[Slice]


def changed(files: StageFiles, change: Change, folder: Path) -> StageFiles:
    """The set as `make` will write it to `folder`."""
    dropped = sum(one.number < len(files.train) for one in change.rows) if change.policy == "drop" else 0
    rows = [(one.number, one.row, one.fit) for one in change.rows]
    key = digest(files.digest, "overlong", change.policy, change.limit, rows)
    return _named(files, folder, files.rows - dropped, key)


def recorded(files: StageFiles, policy: str, limit: int, folder: Path) -> StageFiles:
    """The set as changed earlier under the same policy and limit; `files` if it was not changed."""
    record = _record(folder)
    if (record.get("source"), record.get("policy"), record.get("limit")) != (files.digest, policy, limit):
        return files
    return _named(files, folder, record["rows"], record["digest"])


def made_from(folder: Path, made: str) -> str:
    """The digest of the set from which files of the digest `made` were written; `made` itself if it was not changed."""
    record = _record(folder)
    return str(record["source"]) if record.get("digest") == made else made


def make(files: StageFiles, change: Change, folder: Path, pool: Pool) -> StageFiles:
    """Write the changed set, unless it is complete, and return it."""
    target = changed(files, change, folder)
    if _is_complete(target, folder):
        return target
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    with removed_if_it_fails(temporary):
        _write(files, target, change, temporary, pool)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    return target


def _write(files: StageFiles, target: StageFiles, change: Change, temporary: Path, pool: Pool) -> None:
    """Write files, verdicts and record of a changed set to a temporary folder."""
    temporary.mkdir(parents=True)
    small = _small(change, pool) if change.policy == "downscale" else None
    written = []
    for number, (path, new) in enumerate(zip([*files.train, *files.val], [*target.train, *target.val], strict=True)):
        if overlong := {one.row: one for one in change.rows if one.number == number}:
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


def _named(files: StageFiles, folder: Path, rows: int, key: str) -> StageFiles:
    """The files of a changed set, named as those of a built one."""
    train, val = (
        tuple(folder / f"{split}-{number:05d}-of-{len(paths):05d}.parquet" for number in range(len(paths)))
        for split, paths in (("train", files.train), ("val", files.val))
    )
    return StageFiles(files.stage, train, val, rows, key)


def verdicts(stage: str, change: Change) -> list[Verdict]:
    """The change of each overlong row, as the ledger's verdicts."""
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


def _is_complete(target: StageFiles, folder: Path) -> bool:
    """Whether all files exist and the written ones, which are not links, are undamaged."""
    record = _record(folder)
    if record.get("digest") != target.digest or not all(path.is_file() for path in (*target.train, *target.val)):
        return False
    return bool(record["written_digest"] == files_digest(folder / name for name in record["written"]))


def _record(folder: Path) -> dict[str, Any]:
    try:
        return json_file.mapping(folder / _RECORD)
    except (OSError, ValueError):
        return {}


def _small(change: Change, pool: Pool) -> Iterator[dict[int, list[bytes]]]:
    """Index in the file -> downscaled images of the row, slice by slice, in the order of files and rows."""
    wanted = []
    for part in change.slices:
        fits = {one.row: one.fit for one in change.rows if one.fit is not None and one.number == part.number}
        inside = {row: fit for row, fit in fits.items() if part.first + part.start <= row < part.first + part.stop}
        if inside:
            wanted.append((part, inside, change.limit))
    yield from pool.ordered("shrunk", wanted)


def _rewrite(
    source: Path, target: Path, overlong: Mapping[int, Overlong], small: Iterator[dict[int, list[bytes]]] | None
) -> None:
    """Copy a file without its overlong rows or, given `small`, with downscaled images in them."""
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
                kept = _with_images(batch, {place - start: ready.pop(place) for place in places})
            start += batch.num_rows
            if kept.num_rows:
                writer.write_batch(kept)
    with target.open("r+b") as written:
        checksums.seal(written)


def _with_images(batch: pa.RecordBatch, small: Mapping[int, list[bytes]]) -> pa.RecordBatch:
    """The batch with other image bytes in some rows."""
    if not small:
        return batch
    place = batch.schema.get_field_index("images")
    images = batch.column(place).to_pylist()
    for number, data in small.items():
        images[number] = [image | {"bytes": one} for image, one in zip(images[number], data, strict=True)]
    field = batch.schema.field(place)
    return batch.set_column(place, field, pa.array(images, field.type))
