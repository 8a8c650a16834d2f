"""`capcurriculum verify RUN`: whether a run's shards, records and recipe are as they were written, to the last byte."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import CapCurriculumError, RunError
from capcurriculum.files import checked_json, checksums, json_file
from capcurriculum.run import Run

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Found:
    """Files of one folder of a run: with a checksum and as they were written, without one but readable, and damaged."""

    folder: str
    sound: int
    unsealed: int
    damaged: int


def verify(run: Run) -> tuple[list[Found], list[str]]:
    """Verify every shard, record and recipe of a run.

    Returns:
        The counts of each folder, and a sentence for every damaged file.
    """
    counts: dict[str, Counter[str]] = {}
    sentences = []
    for path in _files(run.path):
        try:
            said = _looked_at(path)
        except CapCurriculumError as error:
            said = "damaged"
            sentences.append(str(error))
        folder = path.parent.relative_to(run.path).as_posix()
        counts.setdefault("" if folder == "." else folder, Counter())[said] += 1
    found = [Found(name, one["sound"], one["unsealed"], one["damaged"]) for name, one in counts.items()]
    return found, sentences


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from _files(path)
        elif path.is_file() and path.suffix in _KINDS and not path.name.startswith("."):
            yield path


def _looked_at(path: Path) -> str:
    return "sound" if _KINDS[path.suffix](path) else "unsealed"


def _shard(path: Path) -> bool:
    checksums.check([path])
    if checksums.sealed(path):
        return True
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(_BATCH):
                pass  # that it can be read is all that can be known
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise RunError(f"{path} is damaged ({said}); {checksums.mend(path)}.") from error
    return False


def _object(path: Path) -> bool:
    try:
        json_file.read(path)
        return checked_json.sealed(path)
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({error}); put back a copy, or {checksums.mend(path)}.") from error


def _recipe(path: Path) -> bool:
    try:
        return checked_json.check_comment(path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} was changed by hand, or is damaged ({error}); `capcurriculum build` with the recipe that is meant "
            "writes it again."
        ) from error


def _lines(path: Path) -> bool:
    """A journal, whose last line a kill may have torn."""
    try:
        for line in path.read_bytes().split(b"\n")[:-1]:
            json.loads(line or b"null")
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged (a line: {error}); remove that line, what it told is lost.") from error
    return False


_KINDS: dict[str, Callable[[Path], bool]] = {".parquet": _shard, ".json": _object, ".jsonl": _lines, ".yaml": _recipe}
