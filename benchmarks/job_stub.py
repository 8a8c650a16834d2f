"""A chat-completions endpoint that plays a teacher and two solvers, in a process of its own, and misbehaves by a hash.

What it says depends on what it is asked alone, so what a perfect client would keep is known (`truth`). Of the first
sendings of a request some fail, are garbage, hang or are cut off; a cut reply comes whole where there is more room.
"""

import argparse
import asyncio
import hashlib
import json
import re
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import stub

SOLVERS = {"one": 0.80, "two": 0.72}
READS = 0.97
#: Tokens that a cut reply has: it comes whole to a request that allows more.
ROOM = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a reply takes, and the shares of requests that go wrong the first time; `hang` of them wait `wait`."""

    delay: float = 0.3
    broken: float = 0.03
    garbage: float = 0.02
    cut: float = 0.02
    hang: float = 0.0
    wait: float = 20.0


def unit(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


def mark_of(caption: str) -> str:
    """What the teacher makes its question of."""
    return hashlib.sha256(caption.strip().encode()).hexdigest()[:8]


def right(solver: str, mark: str, *, sees: bool) -> bool:
    """Whether a solver answers the question rightly, from the image or from the caption."""
    return unit(solver, mark, "sees") < SOLVERS[solver] if sees else unit(solver, mark, "reads") < READS


def truth(captions: list[str]) -> set[str]:
    """The marks of the captions that the paper's rule keeps."""
    marks = map(mark_of, captions)
    return {m for m in marks if all(not right(s, m, sees=True) and right(s, m, sees=False) for s in SOLVERS)}


def reply(body: dict[str, Any]) -> str:
    """What the model says."""
    text, sees = "", False
    for message in body["messages"]:
        content = message["content"]
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            sees |= part["type"] == "image_url"
            text += part.get("text", "") + "\n"
    if "Reply with one JSON object" in text:
        mark = mark_of(text.split("Caption:")[-1])
        options = {"A": f"right {mark}", "B": f"b {mark}", "C": f"c {mark}", "D": f"d {mark}"}
        return json.dumps({"question": f"What is at {mark}?", "options": options, "answer": "A"})
    marks = re.findall(r"What is at (\w+)\?", text)
    if not marks:
        return "Yes."  # whether anybody is there
    mark = marks[-1]
    offered = re.findall(r"^([A-D]): (.*)$", text, re.MULTILINE)[-4:]
    solver = body["model"] if body["model"] in SOLVERS else "one"
    good = right(solver, mark, sees=sees)
    letter = next(letter for letter, option in offered if option.startswith("right") == good)
    return f"<think> I look at it from left to right. </think> \\boxed{{{letter}}}"


def serving(plan: Plan) -> AbstractContextManager[str]:
    """The endpoint as a `stub.process`; a GET says how many requests it was sent."""
    return stub.process("benchmarks.job_stub", asdict(plan))


class _Server:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        data = await reader.readexactly(int(found[1])) if found else b""
        if head.startswith(b"GET"):
            said = {"data": [{"id": "m"}], "asked": sum(self.sent.values())}
            self._send(writer, b"200 OK", json.dumps(said).encode())
        else:
            self._send(writer, *await self._answer(data))
        await writer.drain()
        return b"connection: close" not in head.lower()

    async def _answer(self, data: bytes) -> tuple[bytes, bytes]:
        body = json.loads(data)
        name = hashlib.sha256(data).hexdigest()
        again, self.sent[name] = self.sent[name], self.sent[name] + 1
        plan, drawn = self.plan, unit(name, "fault") if not again else 1.0
        await asyncio.sleep(plan.delay * (0.5 + unit(name, "delay")))
        for share, kind in ((plan.hang, "hang"), (plan.broken, "broken"), (plan.garbage, "garbage")):
            if drawn < share:
                if kind == "hang":
                    await asyncio.sleep(plan.wait)
                    break
                return (
                    (b"500 Internal Server Error", b"{}") if kind == "broken" else (b"200 OK", b'{"choices": [{"m\xff')
                )
            drawn -= share
        text, finish = reply(body), "stop"
        if unit(name, "cut") < plan.cut and body.get("max_tokens", ROOM) <= ROOM:
            text, finish = text[: len(text) // 3], "length"
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        said = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        return b"200 OK", json.dumps(said).encode()

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, len(body)) + body)


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job_stub", description=__doc__)
    for key, value in asdict(Plan()).items():
        parser.add_argument(f"--{key}", type=float, default=value)
    plan = Plan(**vars(parser.parse_args()))
    server = await asyncio.start_server(_Server(plan), "127.0.0.1", 0, limit=1 << 22, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
