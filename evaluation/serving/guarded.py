"""A server on this machine that answers nobody but who was given its token.

What listens on loopback is reached by every page in a browser on this machine, and by every other user of it: a page
can send `text/plain` to any port, and by a name that it makes resolve to 127.0.0.1 it can read the replies too (DNS
rebinding). So a request needs the token that only the processes of an evaluation know, must name this machine as its
host, and must not come from a page. Whatever is refused ends its connection, since what follows an unread body could be
taken for a request.

Standard library alone: an evaluation kit's Python runs this file too.
"""

import hmac
import json
from http.server import BaseHTTPRequestHandler
from typing import Any

#: Of a request; pictures are in it.
MOST_BYTES = 500_000_000
#: The names by which a client on this machine may call it.
_HOSTS = ("127.0.0.1", "localhost")


class Guarded(BaseHTTPRequestHandler):
    """Takes a JSON object by POST at `path_served`. A server's class says `token` and `reply`."""

    token = ""
    path_served = "/v1/chat/completions"
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # head and body in one packet
    timeout = 600.0  # seconds that a client may say nothing
    server_version, sys_version = "capcurriculum", ""

    def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and JSON for one request."""
        raise NotImplementedError

    def do_POST(self) -> None:
        """Answer a request that may be asked, refuse any other."""
        status, why = self._refused()
        if status:
            self.close_connection = True
            return self.send(status, _error(why))
        data = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return self.send(400, _error("a chat completion is a JSON object"))
        return self.send(*self.reply(body))

    def _refused(self) -> tuple[int, str]:
        """The status with which a request is refused and why; 0 where it is not."""
        port = self.connection.getsockname()[1]
        hosts, lengths = (self.headers.get_all(name, []) for name in ("Host", "Content-Length"))
        if len(hosts) != 1 or hosts[0].lower() not in {f"{name}:{port}" for name in _HOSTS}:
            return 403, "this server is asked by the name of its own machine alone"
        if "Origin" in self.headers or "Sec-Fetch-Site" in self.headers:
            return 403, "this server takes nothing from a page"
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {self.token}".encode()):
            return 401, "this server is for the processes of one evaluation"
        if self.path != self.path_served:
            return 404, "this server takes chat completions"
        if self.headers.get_content_type() != "application/json":
            return 415, "a chat completion is application/json"
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not _whole(lengths[0]):
            return 411, "a request says its length once, as a whole number"
        if int(lengths[0]) > MOST_BYTES:
            return 413, f"a request has at most {MOST_BYTES} bytes"
        return 0, ""

    def send(self, status: int, data: bytes) -> None:
        """Send a whole reply."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def _whole(text: str) -> bool:
    """Whether it is a length; no sign, no blank, no digit of another script, none that costs something to read."""
    return text.isascii() and text.isdigit() and len(text) < 20


def _error(why: str) -> bytes:
    return json.dumps({"error": {"message": why}}).encode()
