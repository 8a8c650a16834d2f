"""HTTP of Argilla's client: bounded responses, retries for a bounded time, and errors as one sentence each.

Imported inside functions only, since httpx and tenacity come with the extra `review`.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import tenacity
from argilla._exceptions import ArgillaError

from capcurriculum.errors import ReviewError

#: Bytes of one response; a page of records has its images inline.
MOST_BYTES = 500_000_000
_LONGEST_WAIT_SECONDS = 10.0
_TRANSIENT = frozenset({408, 425, 429})

Result = TypeVar("Result")


def arguments() -> dict[str, Any]:
    """Arguments of `httpx.Client` that bound each response; compressed ones are refused, so none is unpacked."""
    return {"headers": {"Accept-Encoding": "identity"}, "event_hooks": {"response": [_bound]}}


def _bound(response: httpx.Response) -> None:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise httpx.DecodingError("its reply is compressed, although it was asked for as it is")
    response.stream = _Bounded(response.stream)


class _Bounded(httpx.SyncByteStream):
    """A body that raises `httpx.DecodingError` after `MOST_BYTES`."""

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


def persist(url: str, seconds: float, call: Callable[[], Result]) -> Result:
    """What `call` returns; transient errors are retried with growing pauses for `seconds`.

    Raises:
        ReviewError: the server at `url` refuses or keeps failing; the key is not in the text.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=_LONGEST_WAIT_SECONDS),
        retry=tenacity.retry_if_exception(_transient),
        reraise=True,
    )
    try:
        return retrying(call)
    except httpx.HTTPStatusError as error:
        raise ReviewError(_refused(url, error.response.status_code, error.response.text)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ReviewError(
            f"Argilla at {url} does not answer ({type(error).__name__}: {' '.join(str(error).split())[:200]}); check "
            "ARGILLA_API_URL and the server, and run the same command again, which resumes."
        ) from error
    except ArgillaError as error:
        raise ReviewError(_refused(url, _status(error) or 0, str(error.__cause__ or error))) from error


def _transient(error: BaseException) -> bool:
    if isinstance(error, httpx.TransportError):
        return not isinstance(error, httpx.UnsupportedProtocol)
    status = _status(error)
    return status is not None and (status >= 500 or status in _TRANSIENT)


def _status(error: BaseException | None) -> int | None:
    """The HTTP status of an error or of one of its causes."""
    while error is not None:
        source = error.response if isinstance(error, httpx.HTTPStatusError) else error
        status = getattr(source, "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _refused(url: str, status: int, message: str) -> str:
    reason = " ".join(message.split())[:300]
    if status in (401, 403) or "credentials" in reason.lower():
        return f"Argilla at {url} does not let this key do that ({reason}); check ARGILLA_API_KEY."
    if not status:
        return f"Argilla's client gives up ({reason})."
    if status >= 500:
        return f"Argilla at {url} keeps failing ({status}: {reason}); run the same command again later, which resumes."
    return f"Argilla at {url} refuses ({status}: {reason})."
