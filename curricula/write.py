"""Write a stage's splits as Parquet shards that `datasets.load_dataset` opens with pictures shown.

Everything is written into a temporary folder that replaces the old stage in one rename, and the bytes depend on the
rows alone, so the same rows give the same files.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curricula.split import SPLITS
from curricula.stage_rows import StageRow, features, record
from datagen.windows import windows

#: The dataset viewer decodes a whole row group at once.
ROW_GROUP = 100
SHARD_BYTES = 500_000_000


def write_stage(rows: Sequence[StageRow], target: Path, images: Path) -> None:
    """Write `rows`, already in order, as `{split}-{i:05d}-of-{n:05d}.parquet`; every split has a file."""
    temporary = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for split in SPLITS:
        _write_split([row for row in rows if row.split == split], temporary, split, images)
    _replace(temporary, target)


def _write_split(rows: Sequence[StageRow], folder: Path, split: str, images: Path) -> None:
    schema = features().arrow_schema
    shards: list[Path] = []
    groups = _groups(rows, images, schema)
    group = next(groups, schema.empty_table())
    while group is not None:
        shards.append(folder / f"{split}-{len(shards):05d}.parquet")
        with pq.ParquetWriter(shards[-1], schema, compression="zstd", write_page_index=True) as writer:
            while group is not None and (shards[-1].stat().st_size < SHARD_BYTES):
                writer.write_table(group, row_group_size=ROW_GROUP)
                group = next(groups, None)
        _flush(shards[-1])
    for number, shard in enumerate(shards):
        shard.rename(folder / f"{split}-{number:05d}-of-{len(shards):05d}.parquet")


def _groups(rows: Sequence[StageRow], images: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    numbered = (record(row, index, images) for index, row in enumerate(rows))
    for group in windows(numbered, ROW_GROUP):
        values: list[dict[str, Any]] = group
        yield pa.Table.from_pylist(values, schema=schema)


def _flush(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _replace(temporary: Path, target: Path) -> None:
    """Put the new folder in the old one's place; a kill in between leaves no stage, and building again writes it."""
    old = target.with_name(f".tmp-old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    temporary.rename(target)
    shutil.rmtree(old, ignore_errors=True)
