"""Read files from untrusted tar and zip archives without unpacking them to disk.

A member is taken only if it is a plain file whose name stays inside (no absolute path, no `..`); links and devices are
passed over. Numbers and sizes are bounded while reading, so an archive that lies about them costs no more than an
honest one. Tars are read as one stream, as their compression asks for.
"""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits
from datagen.image_decoding import ImageProblem
from datagen.sources.formats import encoding, unpacking
from datagen.sources.formats.record import sentence

ENDINGS = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
#: Whatever its ratio, an archive may unpack to so many bytes, and hold so many members.
FREE_BYTES, FREE_MEMBERS = 100_000_000, 10_000
#: Beyond those, a member takes at least so many bytes of its archive: its name, its sizes and its times.
_LEAST_BYTES = 16
_CHUNK = 1 << 20


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


def members(path: Path, limits: Limits = Limits()) -> Iterator[Member]:  # noqa: B008 (it is frozen)
    """The plain files of an archive, in its own order.

    Raises:
        SourceError: it is damaged, no archive, or beyond the limits.
    """
    with sound(path):
        encoding.refuse_pointer(path)
        packed = path.stat().st_size
        bounds = _Bounds(path, packed, limits)
        yield from _zip(path, bounds) if path.suffix.lower() == ".zip" else _tar(path, bounds)


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Whatever the libraries raise over the bytes of an archive becomes one sentence; they know many errors.

    Raises:
        SourceError: it is damaged, or beyond the limits.
    """
    try:
        yield
    except (SourceError, ImageProblem):
        raise
    except unpacking.TooMuch as error:
        raise _too_large(path, "unpacks to more bytes than its size lets expect") from error
    except Exception as error:
        raise SourceError(f"The archive {path} cannot be read ({sentence(error)}); download it again.") from error


def _too_large(path: Path, what: str) -> SourceError:
    return SourceError(
        f"The archive {path} {what}; if it is in order, raise ratio, members or unpacked_bytes of the source's limits."
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What an archive of `packed` bytes may hold."""

    path: Path
    packed: int
    limits: Limits

    @property
    def unpacked(self) -> int:
        """Bytes of all its members, those passed over included: a tar must be unpacked to pass over them."""
        return min(self.limits.unpacked_bytes, max(FREE_BYTES, self.limits.ratio * self.packed))

    def check(self, members: int, unpacked: int = 0) -> None:
        """Refuse so many members, of so many bytes together.

        Raises:
            SourceError: there are more than there may be.
        """
        crowded = members > FREE_MEMBERS and members * _LEAST_BYTES > self.packed
        if crowded or members > self.limits.members:
            raise _too_large(self.path, f"holds more than {members - 1:,} files")
        if unpacked > self.unpacked:
            raise unpacking.TooMuch


def safe_name(name: str) -> PurePosixPath | None:
    """A member's name without `.` parts, None if it would lie outside or names nothing."""
    if "\x00" in name or "\\" in name or name.startswith("/"):
        return None
    path = PurePosixPath(name)
    return path if path.parts and ".." not in path.parts else None


def _tar(path: Path, bounds: _Bounds) -> Iterator[Member]:
    with (
        unpacking.opened(path, bounds.unpacked) as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK, tarinfo=unpacking.Header) as bundle,
    ):
        # Nothing is ever extracted; should that change, only plain data would be.
        bundle.extraction_filter = getattr(tarfile, "data_filter", None)
        for count, info in enumerate(bundle, 1):
            bundle.members = []  # type: ignore[attr-defined]  # tarfile remembers every member it passed
            bounds.check(count)
            name = safe_name(info.name)
            if not info.isreg() or name is None:
                continue

            def read(limit: int, info: tarfile.TarInfo = info) -> bytes:
                with sound(path):  # the reader of the member is outside of `members`
                    return _bounded(bundle.extractfile(info), info.size, limit)

            yield Member(name, info.size, read)
        while stream.read(_CHUNK):  # to the end, where the sums are
            pass


def _zip(path: Path, bounds: _Bounds) -> Iterator[Member]:
    total = 0
    with zipfile.ZipFile(path) as bundle:
        for count, info in enumerate(bundle.infolist(), 1):
            total += info.file_size
            bounds.check(count, total)
            name = safe_name(info.filename)
            kind = info.external_attr >> 28  # the file type of a Unix mode: 8 plain, 0 unknown, 10 a link
            if info.is_dir() or name is None or kind not in (0, 8):
                continue

            def read(limit: int, info: zipfile.ZipInfo = info) -> bytes:
                if info.flag_bits & 1:
                    raise ImageProblem(Reason.UNREADABLE_IMAGE, f"{info.filename!r} is encrypted in its archive")
                try:
                    with bundle.open(info) as handle:
                        return _bounded(handle, info.file_size, limit)
                except ImageProblem:
                    raise
                except Exception as error:  # of this member alone; the others are read
                    detail = f"{info.filename!r} is damaged in its archive: {sentence(error)}"
                    raise ImageProblem(Reason.UNREADABLE_IMAGE, detail) from error

            yield Member(name, info.file_size, read)


def _bounded(handle: IO[bytes] | None, claimed: int, limit: int) -> bytes:
    data = handle.read(limit + 1) if handle and claimed <= limit else b""
    if (size := max(claimed, len(data))) > limit:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{size} bytes, more than {limit}")
    return data
