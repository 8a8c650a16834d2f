"""The bytes of a compressed tar as a stream that is counted while it is unpacked, whatever the archive promises.

Unlike the stream of `tarfile` it notices an archive that breaks off, and checks the sums that gzip, bzip2 and xz keep.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

_MAGIC: Mapping[bytes, Callable[[Path, str], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\x00\x00": lzma.open,
}
#: Headers that carry a long name or further fields of the next one; `tarfile` reads each of them into memory.
_EXTENDED = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE})
_EXTENDED |= {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_LONGEST_HEADER = 1_000_000
_CHUNK = 1 << 20
#: So often a reader may ask behind the end.
_TIMES = 8


class TooMuch(Exception):
    """An archive unpacks to more bytes than it may."""


class Counted:
    """A stream that ends with `TooMuch` behind so many bytes."""

    def __init__(self, handle: IO[bytes], most: int) -> None:
        self._handle, self._left, self._empty = handle, most, 0

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes, `size` at most.

        Raises:
            TooMuch: there are more in all than there may be.
            EOFError: it ended long ago; `tarfile` would go on to the end of a member that claims terabytes.
        """
        data = self._handle.read(size)
        self._left -= len(data)
        self._empty = 0 if data else self._empty + 1
        if self._empty > _TIMES:
            raise EOFError("it breaks off in the middle of a member")
        if self._left < 0:
            raise TooMuch
        return data


@contextmanager
def opened(path: Path, most: int) -> Iterator[IO[bytes]]:
    """The unpacked bytes of a tar, plain or compressed; its first bytes tell which, whatever its name says.

    What it gives may raise `OSError`, `EOFError`, `zlib.error` or `lzma.LZMAError` where it is damaged.
    """
    with path.open("rb") as file:
        head = file.read(6)
    unpack = next((unpack for magic, unpack in _MAGIC.items() if head.startswith(magic)), None)
    with cast("IO[bytes]", unpack(path, "rb") if unpack else path.open("rb")) as handle:
        yield cast("IO[bytes]", Counted(handle, most))  # which has what `tarfile` asks for


class Header(tarfile.TarInfo):
    """A member's header, refused where it is damaged, or longer than any name."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Header":
        """The header in a block of bytes.

        Raises:
            tarfile.ReadError: it is damaged or cut, where `tarfile` would take it for the archive's end; it wants more
                memory than any header needs; its size is negative.
        """
        try:
            found = super().frombuf(buf, encoding, errors)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a header is damaged: {error}") from error
        if found.size < 0 or (found.type in _EXTENDED and found.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"a header of {found.size:,} bytes")
        return found
