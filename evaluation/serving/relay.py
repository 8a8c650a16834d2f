"""A loopback endpoint between an evaluation kit and a model, which keeps what kits throw away.

Every reply is written down with its length and its end before it is handed on, and the same request is never sent
twice: a kit that was killed, or that lost its own notes, gets the recorded reply. The key is added here, so no kit sees
it and none can log it; a system turn is added where a kit has no way to send one; and what failed is counted, so that a
judge that was down is known even where a kit falls back in silence. Nobody but the kit may ask: it is given a token of
this relay's own, by its environment (see `guarded`).
"""

import hashlib
import http.client
import json
import os
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from capcurriculum.recipe.models import REPLY_BYTES
from evaluation.serving.guarded import Guarded
from evaluation.serving.vllm_command import HOST

_TRIES = 3
_PAUSE_SECONDS = 0.5


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A model's server sends nobody elsewhere; who does would be given the key."""

    def redirect_request(self, *_: object) -> None:
        """None: the redirection becomes an error."""


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go on to. `system` is a turn for requests without one, `model` replaces the model's name."""

    url: str
    key: str = field(default="", repr=False)
    system: str = ""
    model: str = ""
    timeout_seconds: float = 1800.0


def new_token() -> str:
    """A key for one server of this machine; kits that look at keys want them to begin so."""
    return f"sk-{secrets.token_urlsafe(32)}"


@dataclass(slots=True)
class Relay:
    """The endpoint at `url`, for who has its `token`.

    `failures` are requests that got no reply, `why` what was said of the last of them.
    """

    upstream: Upstream
    journal: Path
    url: str = ""
    token: str = field(default_factory=new_token, repr=False)
    failures: int = 0
    asked: int = 0
    why: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def chat(self, body: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and reply of one chat completion, from the record or from upstream."""
        wanted = self._wanted(body)
        data = json.dumps(wanted, ensure_ascii=False).encode("utf-8", "surrogatepass")
        name = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:24]
        with self.lock:
            recorded = self.known.get(name)
        if recorded is not None:
            return 200, _completion(recorded)
        status, reply, why = self.send(data)
        record = _record(name, reply) if status == 200 else None
        with self.lock:
            self.asked += 1
            if record is None:
                self.failures += 1
                self.why = why or "its reply was no chat completion"
            else:
                self.known[name] = record
                with self.journal.open("a", encoding="utf-8") as handle:
                    handle.write(json.dumps(record) + "\n")
        return (status, reply) if record is not None or status != 200 else (502, reply)

    def _wanted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        wanted = dict(body)
        turns = list(wanted.get("messages") or [])
        if self.upstream.system and not any(turn.get("role") == "system" for turn in turns):
            wanted["messages"] = [{"role": "system", "content": self.upstream.system}, *turns]
        if self.upstream.model:
            wanted["model"] = self.upstream.model
        return wanted

    def send(self, data: bytes) -> tuple[int, bytes, str]:
        """Status, reply and the reason why there is none; busy and broken servers are asked a few times."""
        status, reply, why = 502, b"{}", ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_SECONDS * 2**attempt)
            status, reply, why = self._once(data)
            if status < 500 and status != 429:
                break
        return status, reply, why

    def _once(self, data: bytes) -> tuple[int, bytes, str]:
        request = urllib.request.Request(f"{self.upstream.url}/chat/completions", data)  # noqa: S310 - http or https
        request.add_header("Content-Type", "application/json")
        if self.upstream.key:
            request.add_header("Authorization", f"Bearer {self.upstream.key}")
        try:
            with _OPENER.open(request, timeout=self.upstream.timeout_seconds) as reply:
                data = reply.read(REPLY_BYTES + 1)
            if len(data) > REPLY_BYTES:
                return 502, b'{"error": {"message": "too large"}}', f"its reply has more than {REPLY_BYTES:,} bytes"
            return 200, data, ""
        except urllib.error.HTTPError as error:
            said = error.read(2000)
            return error.code, said, f"status {error.code}: {self._words(said.decode(errors='replace'))}"
        except (OSError, http.client.HTTPException) as error:
            return 502, b'{"error": {"message": "no connection"}}', self._words(str(error))

    def _words(self, text: str) -> str:
        """One line without the key."""
        said = " ".join(text.split())[:300]
        return said.replace(self.upstream.key, "[key]") if self.upstream.key else said

    def told(self) -> dict[str, tuple[int | None, str]]:
        """Reply -> its length in tokens and why it ended."""
        with self.lock:
            return {one["text"].strip(): (one["tokens"], one["finish"]) for one in self.known.values()}


@contextmanager
def relaying(upstream: Upstream, journal: Path) -> Iterator[Relay]:
    """A relay on a free port of this machine; `journal` is where its replies are kept."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(journal, os.O_WRONLY | os.O_CREAT, 0o600))
    journal.chmod(0o600)  # one that is older than this rule too
    relay = Relay(upstream, journal, known=recorded(journal))
    server = _Server((HOST, 0), _handler(relay))
    relay.url = f"http://{HOST}:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=[0.02], name="relay", daemon=True).start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()


def recorded(journal: Path) -> dict[str, dict[str, Any]]:
    """The replies that a journal holds, by the digest of their requests; a line torn by a kill is passed over."""
    found: dict[str, dict[str, Any]] = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
                found[record["request"]] = {"text": "", "finish": "", "tokens": None, "tokens_in": None} | record
            except (ValueError, KeyError, TypeError):
                continue
    return found


def _record(name: str, reply: bytes) -> dict[str, Any] | None:
    """What is kept of a reply; None if it is no chat completion."""
    try:
        data = json.loads(reply)
        choice, usage = data["choices"][0], data.get("usage") or {}
        text = choice["message"]["content"] or ""
        return {"request": name, "text": str(text), "finish": str(choice.get("finish_reason") or ""),
                "tokens": usage.get("completion_tokens"), "tokens_in": usage.get("prompt_tokens")}  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _completion(record: Mapping[str, Any]) -> bytes:
    """A recorded reply as the API gives it."""
    message = {"role": "assistant", "content": record["text"]}
    usage = {"prompt_tokens": record["tokens_in"] or 0, "completion_tokens": record["tokens"] or 0}
    usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    choice = {"index": 0, "message": message, "finish_reason": record["finish"] or "stop"}
    body = {"id": record["request"], "object": "chat.completion", "created": 0, "model": "", "choices": [choice]}
    return json.dumps(body | {"usage": usage}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def _handler(relay: Relay) -> type[Guarded]:
    class Handler(Guarded):
        token = relay.token

        def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
            return relay.chat(body)

    return Handler
