"""A worker's one engine and the thread that runs it, for callers that bring blocks of keys from several threads.

The engine is loaded once and kept. Two blocks at a time are enough to keep it busy: while the last replies of one are
waited for, the other's are asked.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from datagen.distributed.block_queue import Block, Feed
from datagen.distributed.steps import Duty
from datagen.engines.protocol import Engine

#: An engine that has not ended by then is left to die with its process.
CLOSE_SECONDS = 20.0


class Desk:
    """Does what it is given; `start` gives the engine, loaded, and is called in the desk's own thread."""

    def __init__(self, duty: Duty[Any, Any], start: Callable[[], AbstractContextManager[Engine]]) -> None:
        self.duty, self._start = duty, start
        self.feed: Feed[Any] = Feed(duty.following, duty.owner, duty.learn, duty.forget)
        self._broken: BaseException | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def do(self, keys: Sequence[str]) -> None:
        """Return when everything about the keys is asked and written.

        Raises:
            EngineError: the engine cannot be loaded or go on; so it will be for all later calls.
        """
        block = Block(keys, self.duty.recall(keys))
        with self._lock:
            if self._broken:
                raise self._broken
            self.feed.add(block)
        block.wait()

    def close(self) -> None:
        """End the engine; nothing is being done."""
        self.feed.close()
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            with self._start() as engine:
                while self.feed.wait_for_block():
                    self.duty.ask(self.feed, _streaming(engine))
        except BaseException as error:  # whatever it is, those who wait for blocks are to hear it
            with self._lock:
                self._broken = error
            self.feed.fail(error)


def _streaming(engine: Engine) -> Engine:
    return _Streaming(engine) if engine.window else engine


class _Streaming:
    """An engine that batches, fed as one that does not: windows are then cut from what has come so far."""

    window = None

    def __init__(self, engine: Engine) -> None:
        self.stream, self.traffic = engine.stream, engine.traffic

    def __enter__(self) -> "_Streaming":
        return self

    def __exit__(self, *_: object) -> None:
        """It is the desk's to close."""
