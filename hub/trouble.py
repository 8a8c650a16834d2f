"""What went wrong between us and the Hub, in one sentence, and whether waiting may help.

The clients raise their HTTP library's errors, wrap some of them in others, and put hints for programmers into their
texts. Here each becomes what a user can do about it. No token ever gets into a sentence.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import parse_ratelimit_headers

#: The root of what the clients' HTTP library raises: httpx for major 1 of huggingface_hub, httpx2 for major 2.
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
#: All that a call of the clients may end in; anything else is a mistake of ours. A KeyError is an answer that lacks
#: what the clients look for, as one of a proxy in between.
ERRORS: tuple[type[Exception], ...] = (HTTP_ERROR, OSError, ValueError, RuntimeError, KeyError)

_TOKEN = re.compile(r"\bhf_\w+|\bBearer\s+\S+|\b(?:sk|gh[pousr])[-_]\w{8,}", re.IGNORECASE)
_QUOTA = re.compile(r"quota|storage|limit|billing|payment|too large|space", re.IGNORECASE)
#: The storage client puts the status of an answer into the text of an error of its own.
_STATUS = re.compile(r"\bstatus\b[^()\d]*\(?([45]\d\d)\b", re.IGNORECASE)
_PASSING = frozenset({408, 425, 500, 502, 503, 504, 520, 522, 524})
_CHANGED = frozenset({409, 412})
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """`passing`: it may go by itself, after `seconds` if the Hub said so. `changed`: somebody else was there first.

    `unreachable`: nobody answered at all, or nobody may be asked.
    """

    sentence: str
    passing: bool = False
    changed: bool = False
    unreachable: bool = False
    seconds: float | None = None


def scrubbed(text: object) -> str:
    """A text on one line, of bounded length, without anything that looks like a token."""
    return _TOKEN.sub("(token)", " ".join(str(text).split()))[:_LONGEST]


def trouble(error: BaseException, doing: str) -> Trouble:
    """What an error means; `doing` is what could not be done, as in "send a.parquet to alice/x"."""
    chain = list(_chain(error))
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        sentence = f"Cannot {doing}: HF_HUB_OFFLINE is set, so nothing may be asked of the Hub; unset it."
        return Trouble(sentence, unreachable=True)
    for one in chain:
        response = getattr(one, "response", None)
        if isinstance(one, HTTP_ERROR) and response is not None:
            return _answered(response.status_code, _said(one, response), response.headers, doing)
    for one in chain:
        if not isinstance(one, HTTP_ERROR) and (status := _STATUS.search(scrubbed(one))):
            return _answered(int(status[1]), "", {}, doing)
    for one in chain:
        if isinstance(one, (HTTP_ERROR, ConnectionError, TimeoutError)):
            reason = scrubbed(one) or type(one).__name__
            sentence = f"Cannot {doing}: the Hub cannot be reached ({reason}); {_AGAIN}."
            return Trouble(sentence, passing=True, unreachable=True)
    return _other(chain[-1], doing)


_AGAIN = "run the same command again later, and what was sent is not sent twice"


def _answered(status: int, said: str, headers: Mapping[str, str], doing: str) -> Trouble:
    """The meaning of an error answer."""
    told = f"{status}: {said}" if said else str(status)
    if status == 401:
        return Trouble(
            f"Cannot {doing}: the Hub does not know the token, or does not show this to it ({told}); log in with "
            "`hf auth login`, or set HF_TOKEN."
        )
    if status in (402, 413, 507) or (status == 403 and _QUOTA.search(said)):
        return Trouble(
            f"Cannot {doing}: there is no room left on the Hub ({told}); free or buy some and run the same command "
            "again, and what was sent is not sent twice."
        )
    if status == 403:
        return Trouble(f"Cannot {doing}: the token may not do that ({told}); use one with write access there.")
    if status == 404:
        return Trouble(f"Cannot {doing}: the Hub has no such thing, or hides it from this token ({told}).")
    if status == 429:
        seconds = _told_seconds(headers)
        when = f"in {seconds:.0f} s" if seconds is not None else "later"
        sentence = f"Cannot {doing}: the Hub's rate limit is reached; run the same command again {when} ({told})."
        return Trouble(sentence, passing=True, seconds=seconds)
    if status in _CHANGED:
        return Trouble(f"Cannot {doing}: somebody else changes it at the same time ({told}); {_AGAIN}.", changed=True)
    if status in _PASSING:
        return Trouble(
            f"Cannot {doing}: the Hub fails ({told}); {_AGAIN}.", passing=True, seconds=_told_seconds(headers)
        )
    return Trouble(f"Cannot {doing}: the Hub refuses it ({told}).")


def _other(error: BaseException, doing: str) -> Trouble:
    """Errors that no answer caused: of the disk, of the cache, of names, and of the storage client."""
    said = scrubbed(error) or type(error).__name__
    if isinstance(error, LocalEntryNotFoundError):
        return Trouble(f"Cannot {doing}: the Hub cannot be reached, and the cache does not hold it ({said}).")
    if isinstance(error, HFValidationError):
        return Trouble(f"Cannot {doing}: {said}.")
    if isinstance(error, OSError) and error.errno is not None:
        return Trouble(f"Cannot {doing}: {error.strerror or said} ({error.filename or 'on this machine'}).")
    if isinstance(error, KeyError):
        return Trouble(f"Cannot {doing}: the answer lacks {said}, so it may not be the Hub that gave it.")
    return Trouble(f"Cannot {doing}: {said}.", passing=isinstance(error, RuntimeError))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _said(error: BaseException, response: Any) -> str:
    """The Hub's own words, without the client's additions."""
    words = getattr(error, "server_message", None) or response.headers.get("x-error-message") or ""
    return scrubbed(words)


def _told_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the Hub asks to wait."""
    told = str(headers.get("retry-after", "")).strip()
    if told.isdecimal():
        return float(told)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit else None
