"""A chat-completions endpoint in a process of its own: answers anything after a fixed time, and misbehaves by chance.

Plain asyncio and as little work a request as HTTP allows, so that what is measured is the client. Faults are drawn from
a seeded generator, one draw a request, in the order of arrival.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass

_BODY = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": r"\boxed{A}"}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105},
    }
).encode()
_GARBAGE = b'{"choices": [{"index": 0, "mess\xff'
#: More than anybody waits.
_HANG_SECONDS = 3600.0
SLOW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests, each in [0, 1], together at most 1; the rest is served."""

    refused: float = 0.0  # 429
    broken: float = 0.0  # 500
    garbage: float = 0.0  # 200 with what is no JSON
    truncated: float = 0.0  # the connection closed in the middle of the body
    hang: float = 0.0  # no reply at all
    slow: float = 0.0  # served after SLOW_SECONDS

    @property
    def retried(self) -> float:
        """The share of requests that brings no reply in time."""
        return self.refused + self.broken + self.garbage + self.truncated + self.hang


STORM = Faults(refused=0.30, broken=0.10, garbage=0.05, truncated=0.05, hang=0.02)


@contextmanager
def process(module: str, options: Mapping[str, float]) -> Iterator[str]:
    """A stub in its own process, which prints its port; gives its base URL."""
    command = [sys.executable, "-m", module, *(f"--{name}={value}" for name, value in options.items())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serving(delay_seconds: float, faults: Faults | None = None, seed: int = 0) -> AbstractContextManager[str]:
    """This stub as a `process`."""
    return process("benchmarks.stub", {"delay": delay_seconds, "seed": seed, **asdict(faults or Faults())})


class _Server:
    def __init__(self, delay: float, faults: Faults, seed: int) -> None:
        self.delay = delay
        self.drawn = random.Random(seed)
        self.kinds = (*asdict(faults), "well")
        self.shares = (*asdict(faults).values(), 1 - faults.retried - faults.slow)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its reply; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, named, rest = head.partition(b"content-length:")
        left = int(rest[: rest.index(b"\r")]) if named else 0  # a peer first asks for the list of models
        while left:
            left -= len(await reader.read(min(left, 1 << 20))) or left
        (kind,) = self.drawn.choices(self.kinds, self.shares)
        await asyncio.sleep({"hang": _HANG_SECONDS, "slow": SLOW_SECONDS}.get(kind, self.delay))
        status, body, promised = b"200 OK", _BODY, len(_BODY)
        match kind:
            case "refused":
                status, body, promised = b"429 Too Many Requests", b"{}", 2
            case "broken":
                status, body, promised = b"500 Internal Server Error", b"{}", 2
            case "garbage":
                body, promised = _GARBAGE, len(_GARBAGE)
            case "truncated":
                body = _BODY[:40]
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, promised, body)
        )
        await writer.drain()
        return kind != "truncated" and b"connection: close" not in head


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stub", description=__doc__)
    for name in ("delay", "refused", "broken", "garbage", "truncated", "hang", "slow"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    delay, seed = given.pop("delay"), given.pop("seed")
    server = await asyncio.start_server(
        _Server(delay, Faults(**given), seed), "127.0.0.1", 0, limit=1 << 20, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
