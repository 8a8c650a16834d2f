"""Rows of Parquet and Arrow: how much of a file is unpacked at once, and rows of which a value cannot be read.

A column may be written as a dictionary, so that a file of 100 kB holds the same megabytes in each of a thousand rows.
How many rows are read at once therefore follows from what one of them may be.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources.formats.record import Keys, Record, sentence

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: What a batch of rows may take where their column is a dictionary; a single row may take more.
_BATCH_BYTES = 256_000_000
#: Up to so many times its size on disk a row group is taken as it is, however large.
_PLAIN_RATIO = 100


def batches(
    file: "pq.ParquetFile", path: Path, most: int, rows: int, columns: Sequence[str] | None = None
) -> Iterator["pa.RecordBatch"]:
    """The batches of a file, of `rows` rows each or fewer.

    Raises:
        SourceError: a row group unpacks to more than `most` bytes, and to far more than its size lets expect.
    """
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = [group.column(place) for place in range(group.num_columns)]
        if columns is not None:
            chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        packed = sum(chunk.total_compressed_size for chunk in chunks)
        unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
        left = max(most, _PLAIN_RATIO * packed)
        if unpacked > left:
            raise _too_large(path, number, unpacked, packed)
        widest = max((chunk.total_uncompressed_size for chunk in chunks if chunk.has_dictionary_page), default=0)
        size = max(1, min(rows, _BATCH_BYTES // max(1, widest)))
        for batch in file.iter_batches(size, row_groups=[number], columns=columns):
            left -= batch.nbytes
            if left < 0:
                raise _too_large(path, number, max(most, _PLAIN_RATIO * packed), packed)
            yield batch


def _too_large(path: Path, group: int, unpacked: int, packed: int) -> SourceError:
    return SourceError(
        f"The row group {group} of {path} unpacks to {unpacked:,} bytes or more, from {packed:,}; if it is in order, "
        "raise group_bytes in the source's limits."
    )


def rows(batch: "pa.RecordBatch") -> Iterator[Mapping[str, object] | Exception]:
    """The rows of a batch; for one with a value that Python does not have (a year 20,000), what was raised over it."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError, TypeError):  # of one row or of many: each by itself
        pass
    for place in range(batch.num_rows):
        try:
            yield batch.slice(place, 1).to_pylist()[0]
        except (ValueError, OverflowError, TypeError) as error:
            yield error


def record(values: Mapping[str, object] | Exception, number: int, keys: Keys) -> Record:
    """A row as a record, refused where a value of it cannot be read."""
    if isinstance(values, Exception):
        detail = f"row {number} holds a value that cannot be read ({sentence(values)})"
        return keys.record(number, {"(unreadable)": number}).refused(Reason.MALFORMED_LINE, detail)
    return keys.record(number, values)
