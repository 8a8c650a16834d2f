"""Bound the bytes of an endpoint's reply while they arrive.

A compressed body is not read at all, since a few kilobytes of one unpack to gigabytes at a stroke. Nothing is lost:
each request says that its reply is wanted as it is (`PLAIN`), and servers keep to that.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2

from datagen.engines.openai.reply import Kind, NoReply

#: The header of a request whose reply shall not be compressed.
PLAIN = {"Accept-Encoding": "identity"}
#: Of what comes with an error's status so much is read, for the server's own words.
_WORDS_BYTES = 65_536


def hook(most: int) -> Callable[[Any], Awaitable[None]]:
    """What an HTTP client calls with each response before its body: from there on the body has `most` bytes at most.

    The hook, and whoever reads the body behind it, raises `NoReply` for one that is compressed or has more. Of an
    error's body the beginning alone is read.
    """

    async def bound(response: Any) -> None:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        packed = encoding not in ("", "identity")
        if not response.is_success:
            response.stream = _Bounded(response.stream, 0 if packed else _WORDS_BYTES)
            return
        if packed:
            why = f"the endpoint's reply is compressed ({encoding[:40]}) although it was asked for as it is"
            raise NoReply(Kind.BROKEN, f"{why}; let the server, or what stands before it, send it so")
        length = response.headers.get("Content-Length", "")
        if length.isascii() and length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise _too_large(most)
        response.stream = _Bounded(response.stream, most, whole=True)

    return bound


class _Bounded(httpx2.AsyncByteStream):
    """A body up to `most` bytes; one that has to be `whole` and has more raises `NoReply`, another ends there."""

    def __init__(self, stream: Any, most: int, *, whole: bool = False) -> None:
        self._stream, self._most, self._whole = stream, most, whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            if len(chunk) > left:
                if self._whole:
                    raise _too_large(self._most)
                yield chunk[:left]
                return
            left -= len(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _too_large(most: int) -> NoReply:
    why = f"the endpoint's reply has more than {most:,} bytes; if it is in order, raise the model's reply_bytes"
    return NoReply(Kind.REQUEST, why)
