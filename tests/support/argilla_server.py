"""A real Argilla for tests, people who answer on it, and a door before it that can be shut."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import loopback
from tools import review_server
from tools.review_server import Server

_WAIT = 120


@contextmanager
def running(home: Path, port: int = 0) -> Iterator[Server]:
    """A server; the test is skipped where it cannot be installed."""
    named = os.environ.get("REVIEW_SERVER_PYTHON")
    try:
        python = Path(named) if named else review_server.installed()
    except review_server.ServerError as error:
        pytest.skip(str(error))
    with review_server.serving(home, python, port) as server:
        yield server


@dataclass(frozen=True)
class Person:
    """Somebody signed in on the server."""

    server: Server
    headers: Mapping[str, str]

    @staticmethod
    def owner(server: Server) -> "Person":
        """Who may do everything."""
        return Person(server, {"X-Argilla-Api-Key": server.login.api_key})

    @staticmethod
    def signed_in(server: Server, username: str, password: str) -> "Person":
        """An account by its password."""
        form = {"username": username, "password": password}
        token = httpx.post(f"{server.url}/api/v1/token", data=form, timeout=_WAIT).json()["access_token"]
        return Person(server, {"Authorization": f"Bearer {token}"})

    def call(self, method: str, path: str, **words: Any) -> Any:
        """One request to the server's interface."""
        response = httpx.request(
            method, f"{self.server.url}/api/v1/{path}", headers=self.headers, timeout=_WAIT, **words
        )
        response.raise_for_status()
        return response.json() if response.content else None

    def dataset(self) -> str:
        """The id of the one dataset."""
        (found,) = self.call("GET", "me/datasets")["items"]
        return str(found["id"])

    def records(self) -> dict[str, dict[str, Any]]:
        """Question id -> record, of all that are there."""
        found = self.call("GET", f"datasets/{self.dataset()}/records", params={"limit": 1000, "include": "responses"})
        return {item["metadata"]["question_id"]: item for item in found["items"]}

    def answers(self, said: Mapping[str, Mapping[str, Any]]) -> None:
        """Submit responses; `said` is by the records' own ids."""
        items = [
            {"record_id": record, "status": "submitted", "values": {k: {"value": v} for k, v in values.items()}}
            for record, values in said.items()
        ]
        for start in range(0, len(items), 100):
            for one in self.call("POST", "me/responses/bulk", json={"items": items[start : start + 100]})["items"]:
                assert not one["error"], one


@dataclass
class Door:
    """A way to a server on which requests may go wrong: `trouble` says the status of one, or None to let it through."""

    target: str
    url: str = ""
    trouble: Callable[[str], int | None] = lambda path: None
    asked: list[str] = field(default_factory=list)


@contextmanager
def door(target: str) -> Iterator[Door]:
    """The door on a free loopback port."""
    found = Door(target)

    class Handler(loopback.Quiet):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.asked.append(f"{self.command} {self.path}")
            status = found.trouble(f"{self.command} {self.path}")
            if status == 0:
                self.close_connection = True
                return
            if status:
                self.answer(status, b'{"detail": "trouble"}')
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "x-argilla-api-key")}
            reply = httpx.request(self.command, found.target + self.path, content=body, headers=headers, timeout=_WAIT)
            self.answer(reply.status_code, reply.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        def answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with loopback.serving(Handler) as found.url:
        yield found
