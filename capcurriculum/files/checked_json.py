"""JSON objects in files with a checksum as their first key, so that a flipped bit is detected.

A recipe bears it as a comment at its end, since people may change it: only `capcurriculum verify` looks at that one.

The digest (XXH3, 64 bits) is over the bytes that follow it. A file without it, of an earlier version or from elsewhere,
is read as before, by `json_file`, which reads them all.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

_HEAD = re.compile(rb'\{"checksum": "([0-9a-f]{16})",?')


def encode(value: Mapping[str, Any], *, ascii_only: bool = True) -> bytes:
    """The bytes of a file that holds `value` and its checksum."""
    rest = json.dumps(value, indent=1, ensure_ascii=ascii_only)[1:].encode() + b"\n"
    comma = "," if value else ""
    return f'{{"checksum": "{xxhash.xxh3_64_hexdigest(rest)}"{comma}'.encode() + rest


def opened(data: bytes) -> bytes:
    """The JSON of a file without its checksum; bytes without one are returned unchanged.

    Raises:
        ValueError: they are not as they were written.
    """
    head = _HEAD.match(data)
    if head is None:
        return data
    rest = data[head.end() :]
    if xxhash.xxh3_64_hexdigest(rest).encode() != head[1]:
        raise ValueError("it does not have the checksum that it was written with")
    return b"{" + rest


def sealed(path: Path) -> bool:
    """Whether a file bears a checksum; raises `OSError`."""
    with path.open("rb") as file:
        return _HEAD.match(file.read(64)) is not None


def commented(text: str) -> bytes:
    """The bytes of a recipe with its checksum as a comment on the last line."""
    return f"{text}# checksum {xxhash.xxh3_64_hexdigest(text.encode())}\n".encode()


def check_comment(path: Path) -> bool:
    """Whether a recipe bears a checksum.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not as it was written.
    """
    text, mark, digest = path.read_bytes().rpartition(b"# checksum ")
    if mark and xxhash.xxh3_64_hexdigest(text).encode() != digest.strip():
        raise ValueError("it does not have the checksum that it was written with")
    return bool(mark)
