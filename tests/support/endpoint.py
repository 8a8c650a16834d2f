"""A teacher and solver on loopback that speaks the OpenAI protocol, knows the answers, and misbehaves on demand.

It marks the right option by the word `right`, so a solver can be right from the caption, and wrong from the image for a
share of questions that depends on the question alone. Faults are consumed one a request.
"""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.support import loopback

Fault = Callable[[BaseHTTPRequestHandler], bool]


def unit(*parts: str) -> float:
    """A number in [0, 1) from text."""
    return int(hashlib.sha256("|".join(parts).encode()).hexdigest()[:8], 16) / 2**32


@dataclass
class Endpoint:
    """What the server was asked, and what it shall do wrong."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # of each, names in small letters
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None  # once the faults are used up
    image_right: float = 0.5
    delay_seconds: float = 0.0
    models: tuple[str, ...] = ("m",)
    most_n: int = 64  # choices it gives at most, whatever it is asked for
    flying: int = 0
    most_flying: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, body: dict[str, Any]) -> str:
        """What the model says to a chat."""
        text, has_image = "", False
        for message in body["messages"]:
            content = message["content"]
            parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
            has_image |= any(part["type"] == "image_url" for part in parts)
            text += "\n".join(part.get("text", "") for part in parts) + "\n"
        if "Reply with one JSON object" in text:
            return self._question(text)
        options = dict(re.findall(r"^([A-D]): (.*)$", text, re.MULTILINE))
        return self._choice(text, options, has_image) if options else self._sum(text)

    def _question(self, text: str) -> str:
        before = "".join(re.findall(r"^Already asked.*$", text, re.MULTILINE))
        mark = hashlib.sha256((before + text.split("Caption:")[-1].strip()).encode()).hexdigest()[:6]
        options = {"A": f"right {mark}", "B": f"b {mark}", "C": f"c {mark}", "D": f"d {mark}"}
        return json.dumps({"question": f"What is at {mark}?", "options": options, "answer": "A"})

    def _choice(self, text: str, options: dict[str, str], has_image: bool) -> str:
        question = text.rstrip().splitlines()[-7]
        right = not has_image or unit("sees", question) < self.image_right
        letter = next(k for k, v in options.items() if v.startswith("right") == right)
        return f"<think> I looked. </think> \\boxed{{{letter}}}"

    def _sum(self, text: str) -> str:
        total = sum(int(n) for n in re.findall(r"\d+", text))
        return f"<think> Adding. </think> \\boxed{{{total if unit('sum', text) < 0.7 else total + 1}}}"


def status(code: int, retry_after: str | None = None, message: str = "") -> Fault:
    """Answer with an error status."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(code)
        if retry_after:
            handler.send_header("Retry-After", retry_after)
        data = json.dumps({"error": {"message": message or f"injected {code}"}}).encode()
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return True

    return fault


def but_not_when_greeted(fault: Fault) -> Fault:
    """The fault, except that the engine's question whether anybody is there is served."""
    return lambda handler: handler.body.get("max_tokens") != 1 and fault(handler)  # type: ignore[attr-defined]


def to_pictures(fault: Fault) -> Fault:
    """The fault, for requests that show a picture alone."""
    return lambda handler: "image_url" in str(handler.body["messages"])[:5000] and fault(handler)  # type: ignore[attr-defined]


def thinking(finish: str = "stop") -> Fault:
    """Answer with thoughts beside an empty reply."""
    message = {"role": "assistant", "content": None, "reasoning_content": "The caption says teal."}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return sending(json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}).encode())


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    """Close the connection without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def well(handler: BaseHTTPRequestHandler) -> bool:
    """No fault: the turn of a request that shall be served."""
    return False


def saying(text: str, finish: str = "stop") -> Fault:
    """Answer well-formed, with a text of one's own."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        _send(handler, text, finish)
        return True

    return fault


def sending(data: bytes, promised: int | None = None) -> Fault:
    """Answer 200 with any bytes; a `promised` length above theirs makes a body cut off."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        _send_bytes(handler, data, promised or len(data))
        handler.close_connection = handler.close_connection or promised is not None
        return True

    return fault


def sleeping(seconds: float) -> Fault:
    """Say nothing for a while, then hang up."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        threading.Event().wait(seconds)
        return hang_up(handler)

    return fault


def _send(handler: BaseHTTPRequestHandler, text: str, finish: str = "stop", n: int = 1) -> None:
    message = {"role": "assistant", "content": text}
    choices = [{"index": i, "message": message, "finish_reason": finish} for i in range(n)]
    usage = {"prompt_tokens": 10, "completion_tokens": 5 * n, "total_tokens": 10 + 5 * n}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}
    data = json.dumps(body).encode()
    _send_bytes(handler, data, len(data))


def _send_bytes(handler: BaseHTTPRequestHandler, data: bytes, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks an endpoint again pauses a hundred times shorter."""
    monkeypatch.setattr("datagen.engines.openai.concurrency.FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr("datagen.engines.openai.concurrency.BUSY_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("datagen.engines.openai.concurrency.LONGEST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr("datagen.engines.openai.circuit_breaker.FIRST_OPEN_SECONDS", 0.02)
    monkeypatch.setattr("datagen.engines.openai.circuit_breaker.LONGEST_OPEN_SECONDS", 0.1)
    monkeypatch.setattr("evaluation.serving.relay._PAUSE_SECONDS", 0.005)


@contextmanager
def serving(given: Endpoint | None = None) -> Iterator[Endpoint]:
    """The endpoint on a free loopback port."""
    endpoint = given or Endpoint()

    class Handler(loopback.Quiet):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: two would wait for each other (Nagle and delayed acknowledgement).
        wbufsize = 2**16

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with endpoint.lock:
                endpoint.requests.append(body)
                endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.body = body
                fault = endpoint.faults.pop(0) if endpoint.faults else endpoint.always
                endpoint.flying += 1
                endpoint.most_flying = max(endpoint.most_flying, endpoint.flying)
            try:
                if endpoint.delay_seconds:
                    threading.Event().wait(endpoint.delay_seconds)
                if fault is None or not fault(self):
                    _send(self, endpoint.reply(body), n=min(body.get("n", 1), endpoint.most_n))
            finally:
                with endpoint.lock:
                    endpoint.flying -= 1

        def do_GET(self) -> None:
            """What it serves."""
            data = json.dumps({"object": "list", "data": [{"id": name} for name in endpoint.models]}).encode()
            _send_bytes(self, data, len(data))

    with loopback.serving(Handler) as url:
        endpoint.url = f"{url}/v1"
        yield endpoint
