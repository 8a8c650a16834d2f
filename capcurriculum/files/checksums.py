"""Checksums inside Parquet files, so that a bit that flipped on a disk is never read as data.

Between its last page and its footer a file bears 40 bytes, which other readers pass over: three digests of 64 bits
(XXH3) of the footer, of the columns of pictures and of all else, a fourth over these three, and `MAGIC`. Parquet's own
page checksums cover neither page headers nor the footer, polars and DuckDB do not verify them, and verifying them costs
pyarrow several times as much. Pictures have a digest of their own since most readers of a stage file leave them where
they are.

A file is looked at when a process first reads it. One without `MAGIC`, as earlier versions wrote, is read as before.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from capcurriculum.errors import RunError

MAGIC = b"ccxxh3-1"
#: What the names of columns of pictures begin with.
PICTURES = "images"
_BLOCK = struct.Struct("<QQQQ8s")
#: The end of every Parquet file: the footer's length, and its magic.
_END = struct.Struct("<I4s")
#: Bytes read at once: they stay in a core's cache from the read to the digest.
_CHUNK = 1 << 18

_Spans = list[tuple[int, int]]
#: (device, inode, size, time of change) -> whether its pictures were looked at, too.
_seen: dict[tuple[int, int, int, int], bool] = {}


class _Damage(Exception):
    """What is wrong with a file, as part of a sentence."""


def seal(file: BinaryIO) -> None:
    """Add the checksums to a finished Parquet file, open for reading and writing."""
    start = _footer_start(file)
    file.seek(start)
    footer = file.read()
    pictures, rest = _spans(file, start)
    digests = _of_bytes(footer), _of_spans(file, pictures), _of_spans(file, rest)
    file.seek(start)
    file.write(_BLOCK.pack(*digests, _of_bytes(struct.pack("<QQQ", *digests)), MAGIC) + footer)


def sealed(path: Path) -> bool:
    """Whether a Parquet file bears checksums; raises what `check` raises."""
    with _told(path), path.open("rb") as file:
        return _block(file, _footer_start(file)) is not None


def check(paths: Iterable[Path], *, pictures: bool = True) -> None:
    """Verify the checksums of those files that this process has not verified yet.

    Raises:
        RunError: one is damaged, or cannot be read; the sentence names it, and how to make it again.
    """
    for path in paths:
        with _told(path):
            about = path.stat()
            key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
            if not (_seen.get(key, False) if pictures else key in _seen):
                with path.open("rb", buffering=0) as file:
                    _verify(file, pictures)
                _seen[key] = pictures


def rows(path: Path) -> int:
    """How many rows a file has, from its verified footer; raises what `check` raises."""
    with _told(path), path.open("rb") as file:
        start = _footer_start(file)
        _block(file, start)
        return int(_metadata(file).num_rows)


def mend(path: Path) -> str:
    """How to make a file of a run again, as the end of a sentence."""
    if path.name == "metrics.parquet":
        return "move it away, only curves are drawn from it"
    run = next((folder for folder in path.absolute().parents if (folder / "recipe.yaml").is_file()), None)
    if run is None:
        return "put back a copy, or remove it and make it again"
    match path.absolute().relative_to(run).parts[0]:
        case "captions" | "questions":
            # What was read of a source to its end is not read again.
            return f"remove it and {run / 'gathered.json'}, and run `capcurriculum build {run}`, which makes it again"
        case "reviews":
            return f"put back a copy, or remove it and have `capcurriculum review` bring in the answers of {run} again"
        case "evaluation":
            return f"remove it and run `capcurriculum evaluate {run}` again"
        case "training" | "trainings":
            return f"remove it and run `capcurriculum train {run}` again"
        case "stages" | "curricula" if (run / "downloaded.json").is_file():
            return f"remove {run} and run `capcurriculum download` again"
        case "stages":
            return f"remove it and run `capcurriculum build {run}`, which writes it again from the tables"
        case "curricula":
            return f"remove it and run `capcurriculum curriculum {run}` with its --order, which writes it again"
    return f"remove it and run `capcurriculum build {run}`, which reads or asks again what it held"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into one `RunError`."""
    try:
        yield
    except (_Damage, OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.strerror:
            raise RunError(f"{path} cannot be read ({error.strerror}); see to its disk and permissions.") from error
        said = " ".join(str(error).split())[:200]
        raise RunError(f"{path} is damaged ({said}); {mend(path)}.") from error


def _verify(file: BinaryIO, with_pictures: bool) -> None:
    start = _footer_start(file)
    digests = _block(file, start)
    if digests is None:
        _metadata(file)
        return
    pictures, rest = _spans(file, start - _BLOCK.size)
    if _of_spans(file, rest) != digests[2]:
        raise _Damage("its columns do not have the checksum that they were written with")
    if with_pictures and _of_spans(file, pictures) != digests[1]:
        raise _Damage("its pictures do not have the checksum that they were written with")


def _footer_start(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    if size < 4 + _END.size:
        raise _Damage(f"it has {size} bytes, fewer than any Parquet file")
    file.seek(size - _END.size)
    length, magic = _END.unpack(file.read(_END.size))
    if magic != b"PAR1" or length > size - 4 - _END.size:
        raise _Damage("it does not end as a Parquet file does")
    return int(size - _END.size - length)


def _block(file: BinaryIO, start: int) -> tuple[int, int, int] | None:
    """The digests of footer, pictures and rest, of which the footer's was compared; None where a file has none."""
    if start < 4 + _BLOCK.size:
        return None
    file.seek(start - _BLOCK.size)
    footer, pictures, rest, own, magic = _BLOCK.unpack(file.read(_BLOCK.size))
    whole = own == _of_bytes(struct.pack("<QQQ", footer, pictures, rest))
    if magic != MAGIC and not whole:
        return None
    if magic != MAGIC or not whole:
        raise _Damage("its checksums themselves are damaged")
    if footer != _of_bytes(file.read()):
        raise _Damage("its footer does not have the checksum that it was written with")
    return footer, pictures, rest


def _metadata(file: BinaryIO) -> pq.FileMetaData:
    file.seek(0)
    return pq.read_metadata(file)


def _spans(file: BinaryIO, end: int) -> tuple[_Spans, _Spans]:
    """(start, end) of the pictures, and of what lies between them, up to `end`."""
    pictures, rest, at = _Spans(), _Spans(), 0
    for start, stop in sorted(_pictures(_metadata(file))):
        rest.append((at, start))
        pictures.append((start, stop))
        at = stop
    return pictures, [*rest, (at, end)]


def _pictures(metadata: pq.FileMetaData) -> Iterator[tuple[int, int]]:
    wanted = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path.split(".")[0] == PICTURES]
    for group in range(metadata.num_row_groups):
        for number in wanted:
            column = metadata.row_group(group).column(number)
            start = column.dictionary_page_offset or column.data_page_offset
            yield start, start + column.total_compressed_size


def _of_bytes(data: bytes) -> int:
    return int(xxhash.xxh3_64_intdigest(data))


def _of_spans(file: BinaryIO, spans: _Spans) -> int:
    """One digest over several stretches. They are read and not mapped: a bad sector is then an error, not a signal."""
    total, buffer = xxhash.xxh3_64(), bytearray(_CHUNK)
    view = memoryview(buffer)
    for start, stop in spans:
        file.seek(start)
        while start < stop:
            got = file.readinto(view[: min(_CHUNK, stop - start)])  # type: ignore[attr-defined]
            if not got:
                raise _Damage("it is shorter than its footer says")
            total.update(view[:got])
            start += got
    return int(total.intdigest())
