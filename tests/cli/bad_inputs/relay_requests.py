"""Requests that the evaluation relay refuses, as bytes: from pages, by other names, without its token, misshapen."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

from evaluation.serving.relay import Relay, Upstream, relaying
from tests.cli.bad_inputs.corpus import Case

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "What is 1 + 2?"}]}).encode()
#: Header -> its value, `{port}` and `{token}` filled in; a list is sent as several lines, None leaves it out.
Headers = dict[str, str | list[str] | None]
GOOD: Headers = {
    "Host": "127.0.0.1:{port}",
    "Authorization": "Bearer {token}",
    "Content-Type": "application/json",
    "Content-Length": str(len(BODY)),
}


def exchange(relay: Relay, head: str, headers: Headers, body: bytes) -> bytes:
    """All that comes back until the relay ends the connection, or for a second."""
    port = int(relay.url.split(":")[2].split("/")[0])
    lines = [head]
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            lines.append(f"{name}: {one.format(port=port, token=relay.token)}")
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        heard = b""
        while True:
            try:
                part = connection.recv(65536)
            except TimeoutError:
                return heard + b" (left open)"
            except ConnectionResetError:
                return heard
            if not part:
                return heard
            heard += part


def _case(
    name: str, says: str, changes: Headers, head: str = "POST /v1/chat/completions HTTP/1.1", body: bytes = BODY
) -> Case:
    def make(folder: Path) -> Callable[[], int]:
        def ask() -> int:
            with relaying(Upstream("http://127.0.0.1:9/v1", "sk-paid"), folder / "replies.jsonl") as relay:
                heard = exchange(relay, head, GOOD | changes, body)
                print(heard.split(b"\r\n")[0].decode(), heard.count(b"HTTP/1.1"), "replies;")
                print("left open;" if b"(left open)" in heard else "closed;", f"asked {relay.asked}")
                assert b"sk-paid" not in heard
                assert relay.token.encode() not in heard
            return 2 if heard.startswith(b"HTTP/1.1 4") or b"501" in heard.split(b"\r\n")[0] else 0

        return ask

    return Case(name, make, rf"^HTTP/1\.1 {says} .* 1 replies; closed; asked 0$")


_HOSTS = {
    "evil.example": "a name of somebody else's (DNS rebinding)",
    "evil.example:{port}": "such a name with the port",
    "127.0.0.1": "no port",
    "127.0.0.1:1": "another port",
    "127.0.0.1:{port}.evil.example": "a name that begins like this machine",
    "localhost.evil.example:{port}": "a name that begins like localhost",
    "0.0.0.0:{port}": "no address",
    "[::1]:{port}": "an address that it does not listen on",
    "2130706433:{port}": "a number",
    "127.1:{port}": "a short form",
    "": "nothing",
    "127.0.0.1:{port}, evil.example": "two names",
    "user@127.0.0.1:{port}": "a user",
}
_ORIGINS = ("https://evil.example", "null", "http://127.0.0.1:{port}", "http://localhost:{port}", "file://", "")
_TOKENS = {
    "no token": None,
    "an empty one": "",
    "no scheme": "{token}",
    "another scheme": "Basic {token}",
    "the beginning of it": "Bearer sk-",
    "one more letter": "Bearer {token}x",
    "the paid key": "Bearer sk-paid",
    "the key that kits were given before": "Bearer EMPTY",
    "letters that are not ASCII": "Bearer é",
    "two blanks": "Bearer  {token}",
}
_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json", None)
_LENGTHS: dict[str, str | list[str] | None] = {
    "a negative length": "-1",
    "no length": None,
    "an empty length": "",
    "a length with a sign": f"+{len(BODY)}",
    "a length with a blank": f"{len(BODY)} {len(BODY)}",
    "a hexadecimal length": "0x40",
    "a length with an underscore": "1_0",
    "a length in other digits": "\xb2\xb3",
    "a length of 5,000 digits": "1" * 5000,
    "a broken length": "1.5",
    "no number": "many",
    "two lengths": [str(len(BODY)), "1"],
    "the same length twice": [str(len(BODY)), str(len(BODY))],
    "two lengths in a line": f"{len(BODY)}, {len(BODY)}",
}

CASES = [
    *(_case(f"host is {what}", "403", {"Host": host}) for host, what in _HOSTS.items()),
    _case("no host", "403", {"Host": None}),
    _case("two hosts", "403", {"Host": ["127.0.0.1:{port}", "evil.example"]}),
    *(_case(f"a page of {origin or 'nowhere'}", "403", {"Origin": origin}) for origin in _ORIGINS),
    _case("a browser's own word for a page", "403", {"Sec-Fetch-Site": "cross-site"}),
    *(_case(f"authorization: {what}", "401", {"Authorization": value}) for what, value in _TOKENS.items()),
    *(_case(f"content type {kind}", "415", {"Content-Type": kind}) for kind in _TYPES),
    *(_case(what, "411", {"Content-Length": value}) for what, value in _LENGTHS.items()),
    _case("a length beyond the limit", "413", {"Content-Length": "500000001"}),
    _case("a body in pieces", "411", {"Transfer-Encoding": "chunked", "Content-Length": None}, body=b"0\r\n\r\n"),
    _case("a body in pieces with a length", "411", {"Transfer-Encoding": "chunked"}),
    _case("another path", "404", {}, "POST /v1/models HTTP/1.1"),
    _case("the path with a slash more", "404", {}, "POST /v1/chat/completions/ HTTP/1.1"),
    _case("a path upwards", "404", {}, "POST /v1/../v1/chat/completions HTTP/1.1"),
    _case("a whole address for a path", "404", {}, "POST http://evil.example/v1/chat/completions HTTP/1.1"),
    *(_case(f"the method {verb}", "501", {}, f"{verb} /v1/chat/completions HTTP/1.1", b"")
      for verb in ("GET", "OPTIONS", "PUT", "DELETE", "CONNECT", "TRACE", "post")),
    _case("a request behind a refused one", "411", {"Content-Length": "-1"},
          body=b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
]  # fmt: skip
