"""Read JSON files that may be damaged: truncated, empty, not UTF-8, or nested too deeply.

`json.loads` tells what is no JSON by `ValueError`, but not what is nested too deep (`RecursionError`), and a mapping
that is expected may be a list. Here all of it is a `ValueError`, so that a reader needs one `except`.
"""

import json
import os
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from capcurriculum.errors import RunError
from capcurriculum.files import checked_json

#: Larger than any file of JSON, and any line of one, that this program, a checkpoint or an evaluation kit writes.
MAX_BYTES, MAX_LINE_BYTES = 500_000_000, 50_000_000
#: Levels of brackets, counted in the bytes before a parser spends memory on them.
MAX_DEPTH = 100
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OTHERS = bytes(set(range(256)) - {*b'[]{}"'})


def read(path: Path) -> Any:
    """The value in a file of UTF-8 JSON, with or without a byte order mark, without the checksum that it may bear.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it is no JSON, not as it was written, or larger or deeper than any of ours.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    return loads(checked_json.opened(data))


def mapping(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; raises what `read` does, and `ValueError` for any other value."""
    found = read(path)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def loads(data: bytes) -> Any:
    """The value in UTF-8 JSON.

    Raises:
        ValueError: it is none, or is nested too deep.
    """
    text = data.decode("utf-8-sig")
    try:
        check_depth(text)
        return json.loads(text)
    except (TooDeep, RecursionError) as error:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from error


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines of ours; other lines are skipped, since a kill truncates the last one.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                try:
                    found = loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}); move it away and run the same command again."
        ) from error


def ends_whole(path: Path) -> bool:
    """Whether a line can be appended: the file is missing, empty, or ends with a newline."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        return file.read(1) in (b"", b"\n")


class TooDeep(Exception):
    """A value is nested more than `MAX_DEPTH` deep."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MAX_DEPTH} deep")


class TooLong(Exception):
    """A value takes more bytes than one may."""


class _Depth:
    """Nesting depth of JSON that is read in chunks."""

    def __init__(self) -> None:
        self._depth, self._inside_text, self._escape = 0, False, b""

    def count(self, data: bytes) -> None:
        """Count the next chunk.

        Raises:
            TooDeep: a value in it is nested too deep.
        """
        # A run of backslashes begins at a whole escape, so pairs can be taken out from the left.
        data = (self._escape + data).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._escape = b"\\" if data.endswith(b"\\") else b""
        parts = data.translate(None, _OTHERS).split(b'"')
        brackets = b"".join(parts[self._inside_text :: 2])
        self._inside_text ^= len(parts) % 2 == 0
        for depth in accumulate(map(_STEPS.__getitem__, brackets), initial=self._depth):
            if depth > MAX_DEPTH:
                raise TooDeep
            self._depth = depth


class Stream(Protocol):
    """Bytes that can be read."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, `size` at most; all that are left for -1."""


class Shallow:
    """A byte stream of JSON values, none of which may be nested too deeply or take more than `most` bytes.

    Who reads values says by `begin` that one is whole; what was read ahead by then counts for the next.
    """

    def __init__(self, handle: Stream, most: int) -> None:
        self._handle, self._depth, self._most, self._spent = handle, _Depth(), most, 0

    def begin(self) -> None:
        """A value begins."""
        self._spent = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, `size` at most; all that are left for -1.

        Raises:
            TooDeep: a value in them is nested too deep.
            TooLong: one takes too many bytes.
        """
        data = self._handle.read(size)
        self._spent += len(data)
        if self._spent > self._most + max(size, 0):
            raise TooLong
        self._depth.count(data)
        return data


def check_depth(text: str) -> None:
    """Refuse JSON that is nested too deeply, before a parser spends memory on it.

    Raises:
        TooDeep: it is nested more than `MAX_DEPTH` deep.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _Depth().count(text.encode("utf-8", "replace"))
