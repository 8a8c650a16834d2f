"""Write a set's splits as Parquet shards that `datasets.load_dataset` opens with pictures shown.

The bytes depend on the rows alone, so the same rows give the same files. A shard ends when it is large enough on disk;
memory holds one row group of pictures for each split that is being written.
"""

import io
import os
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.files import checksums
from curricula.keys import Indices
from curricula.stage_rows import Content

SHARD_BYTES = 500_000_000
#: A shard of text alone would else have tens of thousands of row groups, all listed in its footer.
SHARD_ROWS = 100_000
#: Already compressed, and too long to compare.
_OPAQUE = ("images.list.element.bytes",)


def write_split(rows: Indices, content: Content, folder: Path, split: str) -> None:
    """Write `rows`, in this order, as `{split}-{i:05d}-of-{n:05d}.parquet` below `folder`.

    No rows give no file: `datasets` opens a folder that lacks a split, and fails on one whose file is empty.
    """
    shards: list[Path] = []
    groups = content.groups(rows, split)
    group: pa.Table | None = next(groups, None)
    while group is not None:
        shards.append(folder / f"{split}-{len(shards):05d}.parquet")
        written = 0
        with pq.ParquetWriter(shards[-1], content.schema, **settings(content.schema)) as writer:
            while group is not None and written < SHARD_ROWS and shards[-1].stat().st_size < SHARD_BYTES:
                writer.write_table(group, row_group_size=group.num_rows)
                written += group.num_rows
                group = next(groups, None)
        _finish(shards[-1])
    for number, shard in enumerate(shards):
        shard.rename(folder / f"{split}-{number:05d}-of-{len(shards):05d}.parquet")


@lru_cache(maxsize=8)
def settings(schema: pa.Schema) -> dict[str, object]:
    """How columns are encoded; content-defined pages let the Hub store only what changed between two versions."""
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    leaves = pq.ParquetFile(empty).schema
    names = [leaves.column(number).path for number in range(len(leaves))]
    clear = [name for name in names if name not in _OPAQUE]
    return {
        "compression": {name: "none" if name in _OPAQUE else "zstd" for name in names},
        "use_dictionary": clear,
        "write_statistics": clear,
        "write_page_index": True,
        "use_content_defined_chunking": True,
    }


def _finish(path: Path) -> None:
    with path.open("r+b") as handle:
        checksums.seal(handle)
        handle.flush()
        os.fsync(handle.fileno())
