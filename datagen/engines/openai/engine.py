"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, or a hosted model.

The event loop runs in a thread of its own, so replies are read and failed requests repeated while the caller grades and
writes. The caller's iterator of requests is consumed in the caller's thread, and only as far as there is room. What
happens to one request is in `retry`, how many are in flight in `concurrency`, where they go in `endpoints`.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Self

from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Request, Response
from datagen.engines.data_urls import DataURLs
from datagen.engines.openai.endpoints import Pool
from datagen.engines.openai.http_client import Wire
from datagen.engines.openai.retry import Conversation
from datagen.engines.same_prompt import Group, grouped
from datagen.engines.smart_resize import PixelLimits

#: What comes from the loop's thread: a response, how many groups ended (0: look again), or what ends the stream.
Event = Response | int | Exception


class OpenAIEngine:
    """Chat completions over HTTP.

    Raises:
        EngineError: the openai package is missing, or a base URL is none.
    """

    window = None

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self.wire = Wire(section)
        pool = Pool(self.wire.endpoints, section.concurrency, time.monotonic)
        self.urls = DataURLs(PixelLimits.of(section), section.image_cache_mb * 2**20)
        self.conversation = Conversation(section, self.wire, pool, self.urls)
        self.traffic = self.conversation.traffic
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai-engine", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel(self._tasks), self._loop).result()
        asyncio.run_coroutine_threadsafe(self.wire.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.urls.close()

    async def _cancel(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        """Responses as they finish; see `Engine.stream`.

        At most `concurrency` HTTP requests are in flight. What is taken from the iterator and not yet answered is that
        many groups, a quarter more that wait their turn while the caller is busy, and one for each that rests before it
        is asked again, up to twice `concurrency`.
        """
        groups, events = grouped(requests, self.section.max_n), SimpleQueue[Event]()
        tasks: set[asyncio.Task[None]] = set()
        owed = unfinished = 0
        exhausted = waits = False
        try:
            while True:
                while not (exhausted or waits) and unfinished < self._room():
                    group = next(groups, ())
                    exhausted, waits = group == (), group is None
                    owed += len(group or ())
                    unfinished += self._submit(group, events, tasks) if group else 0
                if owed == 0 and exhausted:
                    return
                if owed == 0 and waits:
                    raise RuntimeError("the iterator of requests gave None while every request was answered")
                event = events.get()
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, int):
                    unfinished -= event
                else:
                    owed -= 1
                    yield event
                    waits = False
        finally:
            if not self._loop.is_closed():
                asyncio.run_coroutine_threadsafe(self._cancel(tasks), self._loop).result()

    def _room(self) -> int:
        most = self.section.concurrency
        return most + most // 4 + min(self.conversation.resting, 2 * most)

    def _submit(self, group: Group, events: SimpleQueue[Event], tasks: set[asyncio.Task[None]]) -> int:
        """Hand over a group, in single requests where `n` is not taken; returns how many are now to be finished."""
        parts: list[Group] = [(request,) for request in group] if self.conversation.singly else [group]
        for part in parts:
            self._loop.call_soon_threadsafe(self._start, part, events, tasks)
        return len(parts)

    def _start(self, group: Group, events: SimpleQueue[Event], tasks: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(self._serve(group, events))
        for known in (tasks, self._tasks):
            known.add(task)
            task.add_done_callback(known.discard)

    async def _serve(self, group: Group, events: SimpleQueue[Event]) -> None:
        try:
            await self.conversation.serve(group, events.put, lambda: events.put(0))
        except Exception as error:  # raised again in the caller's thread, after all that was answered before it
            events.put(error)
        else:
            events.put(1)
