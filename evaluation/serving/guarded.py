"""Request handler of a loopback server that serves only holders of its token.

Every web page in a browser on this machine and every other user can reach a loopback port: a page can send `text/plain`
to any port, and read the replies by DNS rebinding. So a request needs the token of the evaluation, must name this
machine as its host, and must not come from a page. A refused request closes its connection, since the bytes after an
unread body could be parsed as another request.

Imports only the standard library, since an evaluation kit's Python runs this file too.
"""

import hmac
import json
from http.server import BaseHTTPRequestHandler
from typing import Any

#: The size limit of a request, which contains images.
MOST_BYTES = 500_000_000
#: The accepted names of this machine.
_HOSTS = ("127.0.0.1", "localhost")


class Guarded(BaseHTTPRequestHandler):
    """Accepts a JSON object by POST at `path_served`; subclasses define `token` and `reply`."""

    token = ""
    path_served = "/v1/chat/completions"
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # head and body in one packet
    timeout = 600.0  # seconds without data from the client
    server_version, sys_version = "capcurriculum", ""

    def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and JSON for one request."""
        raise NotImplementedError

    def do_POST(self) -> None:
        """Answer an authorized request, refuse any other."""
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
        """The status and reason of a refusal; status 0 for an accepted request."""
        port = self.connection.getsockname()[1]
        hosts, lengths = (self.headers.get_all(name, []) for name in ("Host", "Content-Length"))
        if len(hosts) != 1 or hosts[0].lower() not in {f"{name}:{port}" for name in _HOSTS}:
            return 403, "this server accepts only the host name of its own machine"
        if "Origin" in self.headers or "Sec-Fetch-Site" in self.headers:
            return 403, "this server accepts no request from a web page"
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {self.token}".encode()):
            return 401, "this server is for the processes of one evaluation"
        if self.path != self.path_served:
            return 404, "this server accepts chat completions"
        if self.headers.get_content_type() != "application/json":
            return 415, "a chat completion is application/json"
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not _whole(lengths[0]):
            return 411, "a request states its length once, as a whole number"
        if int(lengths[0]) > MOST_BYTES:
            return 413, f"a request has at most {MOST_BYTES} bytes"
        return 0, ""

    def send(self, status: int, data: bytes) -> None:
        """Send a complete reply."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _whole(text: str) -> bool:
    """Whether it is a plain decimal number of reasonable length."""
    return text.isascii() and text.isdigit() and len(text) < 20


def _error(why: str) -> bytes:
    return json.dumps({"error": {"message": why}}).encode()
