"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, or a hosted model.

The event loop runs in a thread of its own, so replies are read and failed requests repeated while the caller grades and
writes. The caller's iterator of requests is consumed in the caller's thread, and only as far as there is room. What
happens to one request is in `retry` and `hedging`, how many are in flight in `concurrency`, and where they go in
`endpoints`.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from queue import SimpleQueue
from typing import Any, Self

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
        """Responses as they finish; see `Engine.stream`."""
        with closing(merged((Source(self, requests),))) as responses:
            for _, response in responses:
                yield response

    def room(self) -> int:
        """How many groups may be unfinished.

        At most `concurrency` HTTP requests are in flight. What is taken from an iterator and not yet answered is that
        many groups, a quarter more that wait their turn while the caller is busy, and one for each that rests before it
        is asked again, up to twice `concurrency`.
        """
        most = self.section.concurrency
        return most + most // 4 + min(self.conversation.resting, 2 * most)

    def submit(self, group: Group, put: Callable[[Event], None], tasks: set[asyncio.Task[None]]) -> int:
        """Hand over a group, in single requests where `n` is not taken; returns how many are now to be finished."""
        parts: list[Group] = [(request,) for request in group] if self.conversation.singly else [group]
        for part in parts:
            self._loop.call_soon_threadsafe(self._start, part, put, tasks)
        return len(parts)

    def drop(self, tasks: set[asyncio.Task[None]]) -> None:
        """Cancel what is in flight."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._cancel(tasks), self._loop).result()

    def _start(self, group: Group, put: Callable[[Event], None], tasks: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(self._serve(group, put))
        for known in (tasks, self._tasks):
            known.add(task)
            task.add_done_callback(known.discard)

    async def _serve(self, group: Group, put: Callable[[Event], None]) -> None:
        try:
            await self.conversation.serve(group, put, lambda: put(0))
        except Exception as error:  # raised again in the caller's thread, after all that was answered before it
            put(error)
        else:
            put(1)


class Source:
    """An iterator of requests and the engine that it is asked of, for `merged`."""

    def __init__(self, engine: OpenAIEngine, requests: Iterable[Request | None]) -> None:
        self._engine = engine
        self._groups: Iterator[Group | None] | None = grouped(requests, engine.section.max_n)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unfinished = 0
        self._told_to_wait = False
        #: Responses that are still to come.
        self.owed = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._groups is None and not self.owed

    @property
    def busy(self) -> bool:
        """Whether an event will come: a response, or the end of a group, which comes after its last response."""
        return bool(self.owed or self._unfinished)

    def fill(self, events: "SimpleQueue[tuple[Source, Event]]") -> None:
        """Take requests until the engine has no room, or the iterator has none right now."""
        self._told_to_wait = False
        self.go_on(events)

    def go_on(self, events: "SimpleQueue[tuple[Source, Event]]") -> None:
        """The same when a group has ended, unless the iterator had none: no response was consumed since."""
        while self._groups is not None and not self._told_to_wait and self._unfinished < self._engine.room():
            group = next(self._groups, ())
            if group == ():
                self._groups = None
            elif group is None:
                self._told_to_wait = True
            else:
                self.owed += len(group)
                self._unfinished += self._engine.submit(group, lambda event: events.put((self, event)), self._tasks)

    def take(self, event: Event) -> Response | None:
        """The response that an event brings, if it does; raises what ended the engine."""
        if isinstance(event, Exception):
            raise event
        if isinstance(event, int):
            self._unfinished -= event
            return None
        self.owed -= 1
        return event

    def close(self) -> None:
        """Cancel what is in flight."""
        self._engine.drop(self._tasks)


def merged(sources: Sequence[Any]) -> Generator[tuple[Any, Any], None, None]:
    """Responses of several sources as they finish, each with its source; all iterators are consumed in this thread.

    An iterator that gives None is asked again after the next response of any source was consumed. `sources` may grow
    meanwhile, and hold others that do as a `Source` does.

    Raises:
        EngineError: an engine cannot be used.
        RuntimeError: all iterators that have not ended give None, and no response is owed.
    """
    events: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
    try:
        while True:
            for source in sources:
                source.fill(events)
            if all(source.ended for source in sources):
                return
            if not any(source.busy for source in sources):
                raise RuntimeError("the iterator of requests gave None while every request was answered")
            response = None
            while response is None and any(source.busy for source in sources):
                source, event = events.get()
                response = source.take(event)
                if response is None:
                    source.go_on(events)
            if response is not None:
                yield source, response
    finally:
        for source in sources:
            source.close()
