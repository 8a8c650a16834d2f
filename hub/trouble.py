"""Errors of the Hub's clients as one sentence each, and whether a retry may help.

The clients raise errors of their HTTP library, wrap some in others and add hints for programmers. Tokens are removed
from every sentence.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import parse_ratelimit_headers

#: The root of what the clients' HTTP library raises: httpx for major 1 of huggingface_hub, httpx2 for major 2.
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
#: What a call of the clients may raise; anything else is a bug here. A KeyError is a response without an
#: expected field, such as a proxy's.
ERRORS: tuple[type[Exception], ...] = (HTTP_ERROR, OSError, ValueError, RuntimeError, KeyError)

_TOKEN = re.compile(r"\bhf_\w+|\bBearer\s+\S+|\b(?:sk|gh[pousr])[-_]\w{8,}", re.IGNORECASE)
_QUOTA = re.compile(r"quota|storage|limit|billing|payment|too large|space", re.IGNORECASE)
#: hf_xet puts the HTTP status into the text of its own error.
_STATUS = re.compile(r"\bstatus\b[^()\d]*\(?([45]\d\d)\b", re.IGNORECASE)
_PASSING = frozenset({408, 425, 500, 502, 503, 504, 520, 522, 524})
_CHANGED = frozenset({409, 412})
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """One error: `passing` is transient, to be retried after `seconds` where the Hub says so; `changed` is a conflict.

    `unreachable`: there was no response, or the client is offline.
    """

    sentence: str
    passing: bool = False
    changed: bool = False
    unreachable: bool = False
    seconds: float | None = None


def scrubbed(text: object) -> str:
    """`text` on one line of at most 300 characters, without tokens."""
    return _TOKEN.sub("(token)", " ".join(str(text).split()))[:_LONGEST]


def trouble(error: BaseException, doing: str) -> Trouble:
    """Classify an error; `doing` is what could not be done, as in "send a.parquet to alice/x"."""
    chain = list(_chain(error))
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        sentence = f"Cannot {doing}: HF_HUB_OFFLINE is set, so nothing may be asked of the Hub; unset it."
        return Trouble(sentence, unreachable=True)
    for one in chain:
        response = getattr(one, "response", None)
        if isinstance(one, HTTP_ERROR) and response is not None:
            message = getattr(one, "server_message", None) or response.headers.get("x-error-message") or ""
            return _by_status(response.status_code, scrubbed(message), response.headers, doing)
    for one in chain:
        if not isinstance(one, HTTP_ERROR) and (status := _STATUS.search(scrubbed(one))):
            return _by_status(int(status[1]), "", {}, doing)
    for one in chain:
        if isinstance(one, (HTTP_ERROR, ConnectionError, TimeoutError)):
            reason = scrubbed(one) or type(one).__name__
            sentence = f"Cannot {doing}: the Hub cannot be reached ({reason}); {_AGAIN}."
            return Trouble(sentence, passing=True, unreachable=True)
    return _without_status(chain[-1], doing)


_AGAIN = "run the same command again later, and what was sent is not sent twice"


def _by_status(status: int, message: str, headers: Mapping[str, str], doing: str) -> Trouble:
    reason = f"{status}: {message}" if message else str(status)
    if status == 401:
        return Trouble(
            f"Cannot {doing}: the Hub does not accept the token, or does not show this to it ({reason}); log in with "
            "`hf auth login`, or set HF_TOKEN."
        )
    if status in (402, 413, 507) or (status == 403 and _QUOTA.search(message)):
        return Trouble(
            f"Cannot {doing}: there is no room left on the Hub ({reason}); free or buy some and run the same command "
            "again, and what was sent is not sent twice."
        )
    if status == 403:
        return Trouble(f"Cannot {doing}: the token may not do that ({reason}); use one with write access there.")
    if status == 404:
        return Trouble(f"Cannot {doing}: the Hub has no such thing, or hides it from this token ({reason}).")
    if status == 429:
        seconds = _retry_after(headers)
        when = f"in {seconds:.0f} s" if seconds is not None else "later"
        sentence = f"Cannot {doing}: the Hub's rate limit is reached; run the same command again {when} ({reason})."
        return Trouble(sentence, passing=True, seconds=seconds)
    if status in _CHANGED:
        return Trouble(f"Cannot {doing}: somebody else changes it at the same time ({reason}); {_AGAIN}.", changed=True)
    if status in _PASSING:
        return Trouble(
            f"Cannot {doing}: the Hub fails ({reason}); {_AGAIN}.", passing=True, seconds=_retry_after(headers)
        )
    return Trouble(f"Cannot {doing}: the Hub refuses it ({reason}).")


def _without_status(error: BaseException, doing: str) -> Trouble:
    """Errors without an HTTP response: of the disk, the cache, invalid names, and hf_xet."""
    reason = scrubbed(error) or type(error).__name__
    if isinstance(error, LocalEntryNotFoundError):
        return Trouble(f"Cannot {doing}: the Hub cannot be reached, and the cache does not hold it ({reason}).")
    if isinstance(error, HFValidationError):
        return Trouble(f"Cannot {doing}: {reason}.")
    if isinstance(error, OSError) and error.errno is not None:
        return Trouble(f"Cannot {doing}: {error.strerror or reason} ({error.filename or 'on this machine'}).")
    if isinstance(error, KeyError):
        return Trouble(f"Cannot {doing}: the response lacks {reason}, so it may not be the Hub's; check HF_ENDPOINT.")
    return Trouble(f"Cannot {doing}: {reason}.", passing=isinstance(error, RuntimeError))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Hub asks to wait, from `Retry-After` or its rate limit headers."""
    value = str(headers.get("retry-after", "")).strip()
    if value.isdecimal():
        return float(value)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit else None
