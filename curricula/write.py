"""Write a split as Parquet shards that `datasets.load_dataset` opens with decoded images.

The bytes depend on the rows alone. A shard ends at a size on disk; memory holds one row group.
"""

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.files import checksums

SHARD_BYTES = 500_000_000
#: A shard of text would otherwise have tens of thousands of row groups, all in its footer.
SHARD_ROWS = 100_000
#: Columns without compression and statistics: encoded images.
_OPAQUE = ("images.list.element.bytes",)


def write_split(groups: Iterator[pa.Table], schema: pa.Schema, folder: Path, split: str) -> None:
    """Write row groups as `{split}-{i:05d}-of-{n:05d}.parquet` below `folder`.

    No groups give no file: `datasets` opens a folder without a split, but fails on an empty file.
    """
    shards: list[Path] = []
    group: pa.Table | None = next(groups, None)
    while group is not None:
        shards.append(folder / f"{split}-{len(shards):05d}.parquet")
        written = 0
        with pq.ParquetWriter(shards[-1], schema, **settings(schema)) as writer:
            while group is not None and written < SHARD_ROWS and shards[-1].stat().st_size < SHARD_BYTES:
                writer.write_table(group, row_group_size=group.num_rows)
                written += group.num_rows
                group = next(groups, None)
        with shards[-1].open("r+b") as file:
            checksums.seal(file)
            file.flush()
            os.fsync(file.fileno())
    for number, shard in enumerate(shards):
        shard.rename(folder / f"{split}-{number:05d}-of-{len(shards):05d}.parquet")


@lru_cache(maxsize=8)
def settings(schema: pa.Schema) -> dict[str, object]:
    """Arguments of `ParquetWriter`; with content-defined chunking the Hub stores only the changes of a new version."""
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
