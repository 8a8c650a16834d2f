"""The sockets: one thread a connection, bodies as streams, faults where a test wants them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.support import loopback
from tests.support.hub_server import collections, commits, contents, large, pulls, repos, xet
from tests.support.hub_server.faults import Fault, Faults
from tests.support.hub_server.state import Hub, Refused
from tests.support.hub_server.web import Reply, Request, answer

#: Importing them registers their routes.
PARTS = (collections, commits, contents, large, pulls, repos, xet)
_PIECE = 1 << 16


class _Broken(Exception):
    """The connection shall end without another word."""


@dataclass(slots=True)
class Served:
    """A running server: what it holds, what goes wrong, and what it was asked."""

    hub: Hub
    faults: Faults = field(default_factory=Faults)

    def fail(self, *faults: Fault) -> None:
        """These and no others from now on."""
        self.faults.waiting = list(faults)

    def asked(self, pattern: str = "") -> list[str]:
        """Requests since the last `clear`, as `METHOD path status`."""
        return [line for line in self.faults.log if pattern in line]


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(loopback.Quiet):
        protocol_version = "HTTP/1.1"
        wbufsize = _PIECE

        def _serve(self) -> None:
            path = self.path.partition("?")[0]
            fault = served.faults.next(self.command, path)
            request = Request.parse(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self._body(path, fault)
            )
            try:
                reply = self._reply(request, fault)
                for _ in request.chunks:  # what no handler read, so that the connection can go on
                    pass
                served.faults.note(f"{self.command} {path} {reply.status}")
                self._send(reply, cut=bool(fault and fault.kind == "cut" and self.command == "GET"))
            except _Broken:
                served.faults.note(f"{self.command} {path} broken")
                self.close_connection = True
            except (ConnectionError, TimeoutError):
                self.close_connection = True  # the client went away

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

        def _reply(self, request: Request, fault: Fault | None) -> Reply:
            if fault and fault.kind == "drop":
                raise _Broken
            try:
                if fault and fault.kind == "status":
                    raise Refused(fault.status, fault.message)
                reply = answer(served.hub, request)
            except Refused as error:
                headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
                return Reply(error.body, error.status, headers | (fault.headers if fault else {}))
            if fault and fault.kind == "lost":
                raise _Broken
            return reply

        def _body(self, path: str, fault: Fault | None) -> Iterator[bytes]:
            cut = fault is not None and fault.kind == "cut" and self.command != "GET"
            slow = fault is not None and fault.kind == "slow"
            for number, piece in enumerate(self._pieces()):
                served.faults.count(path, len(piece))
                yield piece
                if slow:
                    threading.Event().wait(0.01)
                if cut and number >= 1:
                    raise _Broken

        def _pieces(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                while length := int(self.rfile.readline().split(b";")[0], 16):
                    yield self._exactly(length)
                    self.rfile.readline()
                self.rfile.readline()
                return
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                piece = self._exactly(min(left, _PIECE))
                left -= len(piece)
                yield piece

        def _exactly(self, length: int) -> bytes:
            data = self.rfile.read(length)
            if len(data) < length:
                raise ConnectionResetError("the client went away")
            return data

        def _send(self, reply: Reply, cut: bool) -> None:
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", **reply.headers, "Content-Length": str(reply.length())}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            left = reply.length() // 2 if cut else reply.length()
            for piece in reply.chunks():
                self.wfile.write(piece[:left])
                left -= len(piece[:left])
            if cut:
                self.wfile.flush()
                raise _Broken

    return Handler


@contextmanager
def serving(folder: Path, part_bytes: int = 0) -> Iterator[Served]:
    """The server on a free port of loopback, its contents below `folder`."""
    served = Served(Hub(folder, part_bytes))

    with loopback.serving(_handler(served)) as served.hub.url:
        yield served
