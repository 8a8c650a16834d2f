"""The same requests as `benchmarks/client.py`, by datatrove's inference runner and by the usual script.

The usual script is `AsyncOpenAI`, a semaphore, and `gather` over all requests. This file stands alone, so that it runs
in an environment without this project:

    python -m venv peer && peer/bin/pip install openai datatrove orjson httpx aiofiles
    CAPCURRICULUM_BENCH_PEER_PYTHON=peer/bin/python python -m benchmarks client_peer_cpu_ms_per_request

Prints requests a second and CPU time a request as JSON, counted from the first request to the last reply.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


class Watch:
    """Wall and CPU time from the first `begin` to the last `end`."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] | None = None
        self.ended = (0.0, 0.0)

    def begin(self) -> None:
        """A request begins."""
        self.begun = self.begun or (time.perf_counter(), time.process_time())

    def end(self) -> None:
        """A reply is there."""
        self.ended = (time.perf_counter(), time.process_time())

    def result(self, count: int) -> dict[str, float]:
        """Rates over `count` requests."""
        assert self.begun is not None
        seconds, cpu = (end - begun for end, begun in zip(self.ended, self.begun, strict=True))
        return {"per_second": count / seconds, "cpu_ms": 1000 * cpu / count}


def messages(path: str) -> list[Any]:
    """A chat that shows the image."""
    image = "data:image/jpeg;base64," + base64.b64encode(Path(path).read_bytes()).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "text", "text": "What is in the picture?"},
    ]
    return [{"role": "user", "content": parts}]


def ask_openai(url: str, paths: list[str], in_flight: int, watch: Watch) -> None:
    """`AsyncOpenAI`, a semaphore, and `gather`."""
    from openai import AsyncOpenAI

    async def everything() -> None:
        client = AsyncOpenAI(base_url=url, api_key="EMPTY", timeout=600)
        gate = asyncio.Semaphore(in_flight)

        async def ask(path: str) -> None:
            async with gate:
                watch.begin()
                chat = messages(path)
                await client.chat.completions.create(model="m", messages=chat, max_tokens=8, temperature=0)
                watch.end()

        await asyncio.gather(*(ask(path) for path in paths))

    asyncio.run(everything())


def ask_datatrove(url: str, paths: list[str], in_flight: int, watch: Watch) -> None:
    """datatrove's `InferenceRunner` against a ready endpoint, without its checkpoints."""
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.inference.run_inference import (  # type: ignore[import-not-found]
        InferenceConfig,
        InferenceRunner,
    )
    from datatrove.pipeline.writers import JsonlWriter  # type: ignore[import-not-found]

    async def ask(document: Any, generate: Any, **_: Any) -> str:
        watch.begin()
        result = await generate({"messages": messages(document.text), "max_tokens": 8, "temperature": 0})
        watch.end()
        return str(result.text)

    config = InferenceConfig(
        server_type="endpoint",
        model_name_or_path="m",
        endpoint_url=url.removesuffix("/v1"),
        max_concurrent_generations=in_flight,
    )
    documents = (Document(text=path, id=path) for path in paths)
    with tempfile.TemporaryDirectory() as folder:
        InferenceRunner(rollout_fn=ask, config=config, output_writer=JsonlWriter(folder)).run(documents)


def main(who: str, url: str, count: int, in_flight: int, image_bytes: int) -> dict[str, float]:
    """Ask for everything once."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        noise = os.urandom(image_bytes)
        paths = [f"{folder}/{number}.jpg" for number in range(count)]
        for number, path in enumerate(paths):
            Path(path).write_bytes(b"\xff\xd8" + number.to_bytes(8, "big") + noise[10:])
        {"openai": ask_openai, "datatrove": ask_datatrove}[who](url, paths, in_flight, watch)
    return watch.result(count)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))
