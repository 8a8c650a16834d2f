"""Read files out of tar and zip archives nobody vouches for, without ever unpacking them to disk.

A member is taken only if it is a plain file whose name stays inside (no absolute path, no `..`); links and devices are
passed over. Sizes are bounded before and while reading, so an archive that lies about them costs no more than a honest
one. Tars are read as one stream, as their compression asks for.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.images import ImageProblem
from datagen.sources import encoding

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError)
ENDINGS = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
MAX_MEMBERS = 5_000_000
#: Of all members together, those passed over included: a tar must be decompressed to be passed over.
MAX_TOTAL_BYTES = 2_000_000_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """A plain file in an archive: its name inside, its claimed size in bytes, and how to read it.

    `read(limit)` gives its bytes and raises `ImageProblem` if there are more than `limit`. It must be called before
    the next member is asked for.
    """

    name: PurePosixPath
    size: int
    read: Callable[[int], bytes]


def is_archive(path: Path) -> bool:
    """Whether a file's name says it is one."""
    return path.name.lower().endswith(ENDINGS)


def members(path: Path) -> Iterator[Member]:
    """The plain files of an archive, in its own order.

    Raises:
        SourceError: it is damaged, no archive, or beyond the limits.
    """
    try:
        encoding.refuse_pointer(path)
        yield from _zip(path) if path.suffix.lower() == ".zip" else _tar(path)
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SourceError:
    detail = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"The archive {path} cannot be read ({detail}); download it again.")


def safe_name(name: str) -> PurePosixPath | None:
    """A member's name without `.` parts, None if it would lie outside or names nothing."""
    if "\x00" in name or "\\" in name or name.startswith("/"):
        return None
    path = PurePosixPath(name)
    return path if path.parts and ".." not in path.parts else None


def _tar(path: Path) -> Iterator[Member]:
    total = count = 0
    with tarfile.open(path, mode="r|*") as bundle:
        # Nothing is ever extracted; should that change, only plain data would be.
        bundle.extraction_filter = getattr(tarfile, "data_filter", None)
        for info in bundle:
            bundle.members = []  # type: ignore[attr-defined]  # tarfile remembers every member it passed
            count += 1
            total += info.size
            _within_limits(path, count, total)
            name = safe_name(info.name)
            if not info.isreg() or name is None:
                continue

            def read(limit: int, info: tarfile.TarInfo = info) -> bytes:
                _small_enough(info.size, limit)
                try:
                    handle = bundle.extractfile(info)
                    return _bounded(handle.read(limit + 1) if handle else b"", limit)
                except _BROKEN as error:  # the reader of the member is outside of `members`
                    raise _unreadable(path, error) from error

            yield Member(name, info.size, read)


def _zip(path: Path) -> Iterator[Member]:
    total = 0
    with zipfile.ZipFile(path) as bundle:
        for count, info in enumerate(bundle.infolist(), 1):
            total += info.file_size
            _within_limits(path, count, total)
            name = safe_name(info.filename)
            kind = info.external_attr >> 28  # the file type of a Unix mode: 8 plain, 0 unknown, 10 a link
            if info.is_dir() or name is None or kind not in (0, 8):
                continue

            def read(limit: int, info: zipfile.ZipInfo = info) -> bytes:
                _small_enough(info.file_size, limit)
                if info.flag_bits & 1:
                    raise ImageProblem(Reason.UNREADABLE_IMAGE, f"{info.filename!r} is encrypted in its archive")
                try:
                    with bundle.open(info) as handle:
                        return _bounded(handle.read(limit + 1), limit)
                except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
                    detail = f"{info.filename!r} is damaged in its archive: {error}"
                    raise ImageProblem(Reason.UNREADABLE_IMAGE, detail) from error

            yield Member(name, info.file_size, read)


def _within_limits(path: Path, count: int, total: int) -> None:
    if count > MAX_MEMBERS or total > MAX_TOTAL_BYTES:
        raise SourceError(
            f"The archive {path} holds more than {MAX_MEMBERS} files or {MAX_TOTAL_BYTES} bytes; split it."
        )


def _small_enough(size: int, limit: int) -> None:
    if size > limit:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{size} bytes, more than {limit}")


def _bounded(data: bytes, limit: int) -> bytes:
    _small_enough(len(data), limit)
    return data
