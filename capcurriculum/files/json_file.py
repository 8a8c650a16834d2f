"""Read a file of JSON that anything may have happened to since it was written: torn, empty, of other bytes, too deep.

`json.loads` tells what is no JSON by `ValueError`, but not what is nested too deep (`RecursionError`), and a mapping
that is expected may be a list. Here all of it is a `ValueError`, so that a reader needs one `except`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capcurriculum.errors import RunError
from capcurriculum.files import checked_json, nesting

#: Larger than any file of JSON, and any line of one, that this program, a checkpoint or an evaluation kit writes.
MAX_BYTES, MAX_LINE_BYTES = 500_000_000, 50_000_000


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
        nesting.check(text)
        return json.loads(text)
    except (nesting.TooDeep, RecursionError) as error:
        raise ValueError(f"it is nested more than {nesting.MAX_DEPTH} deep") from error


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of our own JSON lines, those passed over that are none, as a kill leaves the last one.

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
    """Whether a file of lines is not there, empty, or ends with a line's end; the next line must not continue one."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        return file.read(1) in (b"", b"\n")
