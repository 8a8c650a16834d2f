"""A loopback proxy between an evaluation kit and a model's API, which records replies and counts failures.

Every reply is journaled with its length and finish reason before it is returned, and the same request is never sent
twice: a kit that is restarted gets the recorded reply. The relay adds the API key, so no kit can log it, and the system
message where a kit cannot send one. Failures are counted, so that a judge that was down is noticed even where a kit
falls back silently. Only the kit has access: it gets the relay's token by its environment (see `guarded`).
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
    """Refuses redirects, which would send the key to another host."""

    def redirect_request(self, *_: object) -> None:
        """Nothing, so that the redirect becomes an error."""


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests are forwarded: `system` is the message for requests without one, `model` replaces theirs."""

    url: str
    key: str = field(default="", repr=False)
    system: str = ""
    model: str = ""
    timeout_seconds: float = 1800.0


def new_token() -> str:
    """A token for one loopback server, with the prefix that some kits check."""
    return f"sk-{secrets.token_urlsafe(32)}"


@dataclass(slots=True)
class Relay:
    """The proxy at `url`, for holders of `token`.

    `failures` counts requests without a reply, and `why` is the reason of the last.
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
        """Status and reply of one chat completion, from the journal or from upstream."""
        wanted = self._forwarded(body)
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

    def _forwarded(self, body: Mapping[str, Any]) -> dict[str, Any]:
        wanted = dict(body)
        turns = list(wanted.get("messages") or [])
        if self.upstream.system and not any(turn.get("role") == "system" for turn in turns):
            wanted["messages"] = [{"role": "system", "content": self.upstream.system}, *turns]
        if self.upstream.model:
            wanted["model"] = self.upstream.model
        return wanted

    def send(self, data: bytes) -> tuple[int, bytes, str]:
        """Status, reply, and the reason for a failure; statuses 429 and 5xx are retried."""
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
            text = error.read(2000)
            return error.code, text, f"status {error.code}: {self._redacted(text.decode(errors='replace'))}"
        except (OSError, http.client.HTTPException) as error:
            return 502, b'{"error": {"message": "no connection"}}', self._redacted(str(error))

    def _redacted(self, text: str) -> str:
        """One line without the key."""
        line = " ".join(text.split())[:300]
        return line.replace(self.upstream.key, "[key]") if self.upstream.key else line


@contextmanager
def relaying(upstream: Upstream, journal: Path) -> Iterator[Relay]:
    """A relay on a free loopback port that records replies in `journal`."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(journal, os.O_WRONLY | os.O_CREAT, 0o600))
    journal.chmod(0o600)  # also of a file with other permissions
    relay = Relay(upstream, journal, known=recorded(journal))
    server = _Server((HOST, 0), _handler(relay))
    relay.url = f"http://{HOST}:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=[0.02], name="relay", daemon=True).start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()


def lengths(journal: Path) -> dict[str, tuple[int | None, str]]:
    """Text of a recorded reply -> its length in tokens and its finish reason."""
    return {one["text"].strip(): (one["tokens"], one["finish"]) for one in recorded(journal).values()}


def recorded(journal: Path) -> dict[str, dict[str, Any]]:
    """Digest of a request -> its recorded reply; a line truncated by a kill is skipped."""
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
    """The journal entry of a reply; None if it is no chat completion."""
    try:
        data = json.loads(reply)
        choice, usage = data["choices"][0], data.get("usage") or {}
        text = choice["message"]["content"] or ""
        return {"request": name, "text": str(text), "finish": str(choice.get("finish_reason") or ""),
                "tokens": usage.get("completion_tokens"), "tokens_in": usage.get("prompt_tokens")}  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _completion(record: Mapping[str, Any]) -> bytes:
    """A recorded reply in the format of the API."""
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
