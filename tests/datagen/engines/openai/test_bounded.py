"""What an endpoint's reply may cost, whatever it is: bytes without an end, and bytes that unpack to more."""

import gzip
import json
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import EngineError, EvaluationError, ReviewError
from capcurriculum.recipe.models import REPLY_BYTES, ModelSection
from capcurriculum.rows import Message, Request, Response, Sampling
from datagen import engines
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.serving.relay import Upstream, relaying
from tests.support import endpoint, loopback
from tests.support.endpoint import Endpoint, Fault
from tests.support.installed import needs

pytestmark = pytest.mark.usefixtures("hurried")

BOUND = 200_000
#: What is on its way when a client stops reading: buffers of both ends.
UNDER_WAY = 20_000_000


def ask(server: Endpoint, count: int = 4, n: int = 1, **words: Any) -> list[Response]:
    section = ModelSection(
        engine="openai", model="m", base_urls=(server.url,), concurrency=1, **{"reply_bytes": BOUND, **words}
    )
    turns = [(Message("user", f"What is {number} + 1?"),) for number in range(count)]
    warm = Sampling(temperature=0.7)
    requests = [Request.make("m", turn, warm, rollout=i) for turn in turns for i in range(n)]
    with engines.create(section) as engine:
        return list(engine.stream(requests))


def flooding(sent: list[int], *headers: tuple[str, str], status: int = 200, most: int = 10**9) -> Fault:
    """Begin a reply and go on until the client has enough, or has `most` bytes; how many went is put into `sent`."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        total = 0
        try:
            while total < most:
                handler.wfile.write(b" " * 65_536)
                total += 65_536
        except OSError:
            pass
        sent.append(total)
        return True

    return fault


@pytest.mark.parametrize("length", [(), (("Content-Length", str(10**9)),), (("Content-Length", str(10**15)),)])
def test_a_reply_without_an_end_fails_its_own_row_and_is_not_read_on(length: tuple[tuple[str, str], ...]) -> None:
    sent: list[int] = []
    with endpoint.serving(Endpoint(faults=[flooding(sent, *length)])) as server:
        replies = ask(server)
    assert Counter(reply.finish for reply in replies) == {"stop": 3, "error": 1}
    said = next(reply.error for reply in replies if reply.error)
    assert said == "the endpoint's reply has more than 200,000 bytes; if it is in order, raise the model's reply_bytes"
    assert len(server.requests) == 4  # it was not asked for again
    assert sent[0] < UNDER_WAY


def test_a_reply_of_exactly_its_bound_is_whole() -> None:
    message = {"role": "assistant", "content": "\\boxed{1}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice]}).encode()
    for more in (0, 1):
        data = body + b" " * (BOUND + more - len(body))
        with endpoint.serving(Endpoint(faults=[endpoint.sending(data)])) as server:
            assert [reply.finish for reply in ask(server, 1)] == ["error" if more else "stop"]


def test_rollouts_that_are_too_large_together_are_asked_for_each_alone() -> None:
    def together(handler: BaseHTTPRequestHandler) -> bool:
        asked = handler.body.get("n", 1)  # type: ignore[attr-defined]
        return asked > 1 and endpoint.sending(b" " * (BOUND + 1))(handler)

    with endpoint.serving(Endpoint(always=together)) as server:
        replies = ask(server, 2, n=3)
    assert Counter(reply.finish for reply in replies) == {"stop": 6}
    assert [body.get("n", 1) for body in server.requests][:2] == [3, 1]


def packed(data: bytes, encoding: str) -> Fault:
    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return True

    return fault


@cache
def bomb(encoding: str) -> bytes:
    """A body that unpacks to 64 MB; a stand-in where its packer is not installed, since its name alone is looked at."""
    plain = b" " * 64_000_000
    return {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, lambda data: data[:100])(plain)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_compressed_reply_is_not_unpacked(encoding: str) -> None:
    data = bomb(encoding.split(",")[0])
    faulty = endpoint.but_not_when_greeted(packed(data, encoding))
    tracemalloc.start()
    try:
        with endpoint.serving(Endpoint(faults=[endpoint.well] * 3, always=faulty)) as server:
            replies = ask(server, tries=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert Counter(reply.finish for reply in replies) == {"stop": 3, "error": 1}
    assert f"the endpoint's reply is compressed ({encoding}) although" in str(replies)
    assert peak < 32_000_000
    assert {headers["accept-encoding"] for headers in server.headers} == {"identity"}


def test_an_endpoint_that_compresses_every_reply_stops_with_the_mend() -> None:
    reply = packed(gzip.compress(b"{}"), "gzip")
    with (
        endpoint.serving(Endpoint(always=reply)) as server,
        pytest.raises(EngineError, match=r"is compressed \(gzip\).*let the server, or what stands before it, send it"),
    ):
        ask(server, patience_seconds=0.3)


@pytest.mark.parametrize("status", [400, 503])
def test_of_an_error_without_an_end_the_beginning_is_read(status: int) -> None:
    sent: list[int] = []
    with endpoint.serving(Endpoint(faults=[flooding(sent, status=status)])) as server:
        replies = ask(server)
    assert Counter(reply.finish for reply in replies) == {"stop": 4} if status == 503 else {"stop": 3, "error": 1}
    assert sent[0] < UNDER_WAY


def test_of_a_compressed_error_the_status_counts() -> None:
    def fault(handler: BaseHTTPRequestHandler) -> bool:
        data = bomb("gzip")
        handler.send_response(400)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return True

    with endpoint.serving(Endpoint(faults=[fault])) as server:
        replies = ask(server)
    assert Counter(reply.finish for reply in replies) == {"stop": 3, "error": 1}


def head(lines: Callable[[int], bytes]) -> Fault:
    """A head that goes on and on."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(2_000):
                handler.wfile.write(lines(number))
        except OSError:
            pass
        return True

    return fault


@pytest.mark.parametrize(
    "fault",
    [
        head(lambda number: b"X-%d: %s\r\n" % (number, b"a" * 8_000)),
        head(lambda number: b"a" * 65_536),
        head(lambda number: b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n"),
        head(lambda number: b"Content-Length: -1\r\n\r\n"),
    ],
)
def test_a_head_that_is_none_is_a_failure_that_passes(fault: Fault) -> None:
    with endpoint.serving(Endpoint(faults=[fault])) as server:
        assert Counter(reply.finish for reply in ask(server)) == {"stop": 4}


@pytest.mark.parametrize("status", [200, 400])
def test_a_kit_is_told_of_a_reply_without_an_end(tmp_path: Path, status: int) -> None:
    sent: list[int] = []
    flood = flooding(sent, status=status)
    with (
        endpoint.serving(Endpoint(faults=[flood, endpoint.well])) as server,
        relaying(Upstream(server.url), tmp_path / "relay.jsonl") as relay,
    ):
        first, second = ({"model": "m", "messages": [{"role": "user", "content": f"{n} + 1"}]} for n in range(2))
        assert relay.send(json.dumps(first).encode())[0] == (200 if status == 200 else 400)
        assert relay.chat(second)[0] == 200
    assert sent[0] < REPLY_BYTES + UNDER_WAY


def test_a_reply_that_is_always_too_large_is_a_failure_of_the_kits_request(tmp_path: Path) -> None:
    with (
        endpoint.serving(Endpoint(always=flooding([]))) as server,
        relaying(Upstream(server.url), tmp_path / "relay.jsonl") as relay,
    ):
        assert relay.chat({"messages": [{"role": "user", "content": "1 + 1"}]})[0] == 502
    assert (relay.failures, relay.why) == (1, "its reply has more than 16,000,000 bytes")


def served(said: Callable[[BaseHTTPRequestHandler], object]) -> AbstractContextManager[str]:
    """The address of a server that answers each GET so."""

    class Handler(loopback.Quiet):
        def do_GET(self) -> None:
            said(self)

    return loopback.serving(Handler)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (flooding([]), "its reply has more than 16,000,000 bytes"),
        (endpoint.sending(b"[" * 100_000), "recursion"),
        (endpoint.sending(b'{"da', promised=10), "Unterminated"),
        (endpoint.hang_up, "closed"),
    ],
)
def test_models_that_are_not_told_are_one_sentence(said: Fault, words: str) -> None:
    with served(said) as url, pytest.raises(EvaluationError, match=f"does not list its models .*{words}.*start it"):
        open.served(Target("m", "", url=url))


def test_a_key_stays_with_the_host_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        endpoint.sending(b'{"data": [{"id": "other"}]}')(handler)

    monkeypatch.setenv(open.KEY, "sk-secret")
    with served(elsewhere) as other:

        def moved(handler: BaseHTTPRequestHandler) -> None:
            seen.append(handler.headers["Authorization"])
            handler.send_response(302)
            handler.send_header("Location", f"{other}/models")
            handler.end_headers()

        with served(moved) as url:
            assert open.served(Target("m", "", url=url)) == "other"
    assert seen == ["Bearer sk-secret", None]


def test_a_review_server_that_sends_without_an_end_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("argilla", extra="review")
    from review.argilla import connection, http

    monkeypatch.setattr(http, "MOST_BYTES", BOUND)
    monkeypatch.setenv(connection.KEY, "k")
    for said, words in (
        (flooding([]), "its reply has more than 200,000 bytes"),
        (packed(gzip.compress(b"{}"), "gzip"), "its reply is compressed"),
    ):
        with served(said) as url:
            monkeypatch.setenv(connection.URL, url)
            with pytest.raises(ReviewError, match=words):
                connection.connect(1)
