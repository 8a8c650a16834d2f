"""Download one image from an untrusted URL.

Time and bytes are bounded for the whole request, redirects included, whatever the server does: a timer closes the
connection at the deadline. Content is detected by its first bytes and never by the server's Content-Type; a body that
does not begin like an image is not read on. Proxies of the environment are not used, since they would resolve names for
us.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urljoin

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Download
from datagen.image_decoding import ImageProblem
from datagen.sources.formats.record import sentence
from datagen.sources.images.addresses import PORTS, Policy, checked_url, resolve
from datagen.sources.images.store import ending

MAX_REDIRECTS = 5
_CHUNK = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Statuses after which asking again later may help.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_SECONDS = 60.0
_DIGITS = 18
_SAFE = "/%:@!$&'()*+,;=~-._"


class TryAgain(Exception):
    """A refusal that may pass; `after_seconds` is what the server asked for, if it did."""

    def __init__(self, detail: str, after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.after_seconds = after_seconds


@dataclass(slots=True)
class _Deadline:
    """Closes what was registered when the time is up, so that no wait outlives it."""

    seconds: float
    end: float = field(init=False)
    timer: threading.Timer = field(init=False)
    sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds
        self.timer = threading.Timer(self.seconds, self._close)
        self.timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    def _close(self) -> None:
        for one in self.sockets:
            with contextlib.suppress(OSError):  # it was closed already, which is what is wanted
                one.shutdown(socket.SHUT_RDWR)

    @property
    def left(self) -> float:
        """Seconds left, never none: a timeout of 0 would mean something else to a socket."""
        return max(self.end - time.monotonic(), 0.01)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.end

    @property
    def missed(self) -> TryAgain:
        """What to raise when it is."""
        return TryAgain(f"took longer than {self.seconds:g} s")


def fetch(url: str, section: Download, max_bytes: int, policy: Policy) -> bytes:
    """The bytes of an image file, which are still to be decoded and measured.

    Raises:
        ImageProblem: the link is dead, leads where it may not, or gives no image of that size.
        TryAgain: the server may give it later.
    """
    with _Deadline(section.timeout_seconds) as deadline:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                parts = checked_url(url)
                answer = _ask(parts, section, max_bytes, policy, deadline)
                if isinstance(answer, bytes):
                    return answer
                url = urljoin(url, answer)
        except ssl.SSLCertVerificationError as error:
            raise ImageProblem(Reason.DEAD_LINK, f"the certificate is not valid: {error.verify_message}") from error
        except ValueError as error:  # of what the server sent: an address that is none, a name that cannot exist
            raise ImageProblem(Reason.DEAD_LINK, f"the server's answer cannot be read ({sentence(error)})") from error
        except (OSError, http.client.HTTPException) as error:
            if deadline.over:
                raise deadline.missed from error
            raise TryAgain(f"the connection broke ({type(error).__name__})") from error
    raise ImageProblem(Reason.DEAD_LINK, f"is redirected more than {MAX_REDIRECTS} times")


def _ask(parts: SplitResult, section: Download, max_bytes: int, policy: Policy, deadline: _Deadline) -> bytes | str:
    """The image, or where the server redirects to."""
    connection = _connected(parts, policy, deadline)
    try:
        query = "?" + quote(parts.query, safe=f"{_SAFE}?") if parts.query else ""
        headers = {"User-Agent": section.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"}
        connection.request("GET", quote(parts.path or "/", safe=_SAFE) + query, headers=headers)
        response = connection.getresponse()
        location = response.headers.get("Location")
        if response.status in _REDIRECTS and location:
            return location
        if response.status in _PASSING:
            raise TryAgain(f"status {response.status}", _retry_after(response.headers.get("Retry-After")))
        if response.status != 200:
            raise ImageProblem(Reason.DEAD_LINK, f"status {response.status}")
        return _body(response, max_bytes, deadline)
    finally:
        connection.close()


def _connected(parts: SplitResult, policy: Policy, deadline: _Deadline) -> http.client.HTTPConnection:
    """A connection to an address that was resolved and allowed here; the host's name serves for TLS and `Host` only."""
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    problem: OSError | None = None
    for address in resolve(host, port, policy):
        try:
            raw = socket.create_connection((address, port), timeout=deadline.left)
        except OSError as error:
            problem = error
            continue
        deadline.sockets.append(raw)
        connection = http.client.HTTPConnection(host, parts.port, timeout=deadline.left)
        connection.sock = raw
        if parts.scheme == "https":
            try:
                connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
            except OSError:
                raw.close()
                raise
            deadline.sockets.append(connection.sock)
        return connection
    raise TryAgain(f"no connection to {host[:100]} ({type(problem).__name__})") from problem


def _body(response: http.client.HTTPResponse, max_bytes: int, deadline: _Deadline) -> bytes:
    length = _length(response.headers.get("Content-Length", ""))
    if length is not None and length > max_bytes:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{length} bytes, more than {max_bytes}")
    data = bytearray()
    sniffed = False
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > max_bytes:
            raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"more than {max_bytes} bytes")
        if not sniffed and len(data) >= 12:
            _like_an_image(data)
            sniffed = True
        if deadline.over:
            raise deadline.missed
    if deadline.over:
        # A connection closed at the deadline looks like the end of a body without a length.
        raise deadline.missed
    if length is not None and len(data) < length:
        raise TryAgain(f"the body ended after {len(data)} of {length} bytes")
    _like_an_image(data)
    return bytes(data)


def _length(value: str) -> int | None:
    """A number of bytes, None for what is none; one of more digits than any disk has bytes is cut to those."""
    digits = value.strip()
    return int(digits[:_DIGITS]) if digits.isascii() and digits.isdecimal() else None


def _like_an_image(data: bytearray) -> None:
    if not ending(bytes(data[:12])):
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"is no image: it begins with {bytes(data[:12])!r}")


def _retry_after(value: str | None) -> float | None:
    return min(float(value), _LONGEST_PAUSE_SECONDS) if value and value.strip().isdecimal() else None


def patient(
    url: str, section: Download, max_bytes: int, policy: Policy, sleep: Callable[[float], object] = time.sleep
) -> bytes:
    """`fetch`, tried again after refusals that may pass.

    Raises:
        ImageProblem: as `fetch`, or the last try failed too.
    """
    for attempt in range(section.tries):
        try:
            return fetch(url, section, max_bytes, policy)
        except TryAgain as problem:
            if attempt + 1 == section.tries:
                detail = f"{problem.detail}, tried {section.tries} times"
                raise ImageProblem(Reason.DOWNLOAD_FAILED, detail) from problem
            sleep(problem.after_seconds if problem.after_seconds is not None else min(2.0**attempt, 30.0))
    raise AssertionError("a download has at least one try")
