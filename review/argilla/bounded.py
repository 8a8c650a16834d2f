"""How much of an Argilla server's reply is read: a bound on its bytes, kept while they arrive; none is unpacked."""

from collections.abc import Iterator
from typing import Any

import httpx

#: As much as of a file of JSON in a run: a page of records comes with its pictures.
MOST_BYTES = 500_000_000


def arguments() -> dict[str, Any]:
    """What the client's HTTP library is told, so that each reply keeps to it."""
    return {"headers": {"Accept-Encoding": "identity"}, "event_hooks": {"response": [_bound]}}


def _bound(response: httpx.Response) -> None:
    """Called with each response before its body is read; raises `httpx.DecodingError` for one that is compressed."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise httpx.DecodingError("its reply is compressed, although it was asked for as it is")
    response.stream = _Bounded(response.stream)


class _Bounded(httpx.SyncByteStream):
    """A body that raises `httpx.DecodingError` behind `MOST_BYTES`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        left = MOST_BYTES
        for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx.DecodingError(f"its reply has more than {MOST_BYTES:,} bytes")
            yield chunk

    def close(self) -> None:
        self._stream.close()
