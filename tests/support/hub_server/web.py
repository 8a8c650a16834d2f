"""Requests, answers and routes, apart from sockets: what a handler of one endpoint works with."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.support.hub_server.state import Hub, Refused, Repo, User

#: A repo as it stands in an API path.
REPO = r"/api/(models|datasets|spaces)/([^/]+/[^/]+)"


@dataclass(slots=True)
class Request:
    """`chunks` gives the body piece by piece, once."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    chunks: Iterator[bytes]

    @staticmethod
    def parse(method: str, target: str, headers: dict[str, str], chunks: Iterator[bytes]) -> "Request":
        path, _, query = target.partition("?")
        return Request(method, path, parse_qs(query), headers, chunks)

    def body(self) -> bytes:
        return b"".join(self.chunks)

    def json(self) -> Any:
        return json.loads(self.body() or b"{}")

    def said(self, name: str, otherwise: str = "") -> str:
        """A query parameter."""
        return self.query.get(name, [otherwise])[0]

    def flag(self, name: str) -> bool:
        return self.said(name).lower() in ("1", "true")


@dataclass(slots=True)
class Reply:
    """An answer: JSON, bytes, or a file of which `start` to `end` is sent."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    end: int | None = None

    def length(self) -> int:
        if self.file is None:
            return len(self.data())
        return (self.end if self.end is not None else self.file.stat().st_size) - self.start

    def data(self) -> bytes:
        if isinstance(self.value, bytes):
            return self.value
        return b"" if self.value is None else json.dumps(self.value).encode()

    def chunks(self) -> Iterator[bytes]:
        if self.file is None:
            yield self.data()
            return
        left = self.length()
        with self.file.open("rb") as handle:
            handle.seek(self.start)
            while left and (piece := handle.read(min(left, 1 << 20))):
                left -= len(piece)
                yield piece


Handler = Callable[..., Reply]
ROUTES: list[tuple[tuple[str, ...], re.Pattern[str], Handler]] = []


def route(methods: str, pattern: str) -> Callable[[Handler], Handler]:
    """Serve requests of these methods (`GET|HEAD`) whose whole path matches; groups become arguments."""

    def add(handler: Handler) -> Handler:
        ROUTES.append((tuple(methods.split("|")), re.compile(f"{pattern}/?"), handler))
        return handler

    return add


def answer(hub: Hub, request: Request) -> Reply:
    """Find the handler and let it answer."""
    for methods, pattern, handler in ROUTES:
        if request.method in methods and (match := pattern.fullmatch(request.path)):
            return handler(hub, request, *match.groups())
    raise Refused(404, f"This server has no route {request.method} {request.path}")


def user(hub: Hub, request: Request) -> User | None:
    """Who asks; None for nobody in particular."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not token:
        return None
    if token not in hub.users:
        raise Refused(401, "Invalid credentials in Authorization header")
    return hub.users[token]


def writer(hub: Hub, request: Request, namespace: str) -> User:
    """Who asks, if they may write there."""
    who = user(hub, request)
    if who is None:
        raise Refused(401, "Unauthorized")
    if who.role != "write" or not who.owns(namespace):
        raise Refused(403, f'You don\'t have the rights to write under the namespace "{namespace}"')
    return who


def repo(hub: Hub, request: Request, kinds: str | None, name: str, *, write: bool = False) -> Repo:
    """A repo that whoever asks may read, or write; one they may not see is not found."""
    who = user(hub, request)
    found = hub.repos.get(((kinds or "models")[:-1], name))
    if found is None or (found.private and not (who and who.owns(name.split("/")[0]))):
        raise Refused(404 if who else 401, "Repository not found", "RepoNotFound")
    if write:
        writer(hub, request, name.split("/")[0])
    return found
