"""The bytes of a file of rows: UTF-8 text, with or without a byte order mark, and no pointer to another file.

Anything else is said, never guessed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from capcurriculum.errors import SourceError
from datagen.image_decoding import LFS_MEND, LFS_POINTER

MARK = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened(path: Path, newline: str | None = None) -> Iterator[IO[str]]:
    """A file of UTF-8 text without its mark; `undecoded` finds the bytes in it that are not UTF-8.

    Raises:
        SourceError: it is UTF-16 or UTF-32, or a Git LFS pointer.
        OSError: it cannot be read.
    """
    refuse_pointer(path)
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(_WIDE) or b"\x00" in head:
        raise SourceError(
            f"The source file {path} is UTF-16 or UTF-32 and has to be UTF-8; convert it, for example with "
            f"`iconv -f UTF-16 -t UTF-8 {path.name} > utf8{path.suffix}`."
        )
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline) as handle:
        yield handle


def lines(handle: IO[str], most: int) -> Iterator[str]:
    """The lines of a file, each with its end; of one of more than `most` characters the first `most` + 1.

    The rest of such a line is passed over in pieces, so that it costs no memory.
    """
    while line := handle.readline(most + 1):
        yield line
        while len(line) > most and not line.endswith(("\n", "\r")):
            line = handle.readline(most + 1)
            if len(line) <= most:
                break


def refuse_pointer(path: Path) -> None:
    """Refuse a file that is a Git LFS pointer to the one that is meant.

    Raises:
        SourceError: it is one.
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        if handle.read(len(LFS_POINTER)) == LFS_POINTER:
            raise SourceError(f"{path} is a Git LFS pointer and not the file itself; {LFS_MEND}.")


def undecoded(text: str) -> str | None:
    """What to say of a text of an `opened` file that has bytes which are not UTF-8; None for one without."""
    found = next((char for char in text if "\udc80" <= char <= "\udcff"), None)
    if found is None:
        return None
    return (
        f"is not UTF-8 (byte 0x{ord(found) - 0xDC00:02x}); if its file is Windows-1252, convert it with "
        "`iconv -f CP1252 -t UTF-8`"
    )


def first_undecoded(path: Path) -> str | None:
    """What to say of a file with bytes that are not UTF-8, as `undecoded`; None for one without.

    Raises:
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        return next((said for block in iter(lambda: handle.read(1 << 20), "") if (said := undecoded(block))), None)


def replaced(text: str) -> str:
    """The text with U+FFFD for each byte that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Unmarked:
    """A stream of bytes without the byte order mark it may begin with; it needs no seeking."""

    def __init__(self, handle: IO[bytes]) -> None:
        head = handle.read(len(MARK))
        self._handle, self._head = handle, b"" if head == MARK else head

    def read(self, size: int = -1) -> bytes:
        """The next bytes, `size` at most; all that are left for -1."""
        if size == 0:
            return b""  # ijson asks for nothing to learn whether it gets bytes or text
        head, self._head = self._head, b""
        if 0 <= size <= len(head):
            self._head = head[size:]
            return head[:size]
        return head + self._handle.read(size if size < 0 else size - len(head))
