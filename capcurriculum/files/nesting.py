"""How deep JSON is nested, counted in its bytes before a parser spends memory on it."""

from itertools import accumulate
from typing import Protocol

MAX_DEPTH = 100
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OTHERS = bytes(set(range(256)) - {*b'[]{}"'})


class TooDeep(Exception):
    """A value is nested more than `MAX_DEPTH` deep."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MAX_DEPTH} deep")


class TooLong(Exception):
    """A value takes more bytes than one may."""


class _Depth:
    """The depth of JSON that comes in pieces."""

    def __init__(self) -> None:
        self._depth, self._inside_text, self._escape = 0, False, b""

    def count(self, data: bytes) -> None:
        """Go on with the next piece.

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
    """A stream of the bytes of JSON that ends where they are nested too deep, or a value takes more than `most`.

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


def check(text: str) -> None:
    """Refuse JSON that is nested too deep.

    Raises:
        TooDeep: it is.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _Depth().count(text.encode("utf-8", "replace"))
