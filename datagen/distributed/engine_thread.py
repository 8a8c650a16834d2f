"""A worker's one engine and the thread that runs it, for callers that bring blocks of keys from several threads.

The engine is loaded once and kept. Two blocks at a time are enough to keep it busy: while the last replies of one are
waited for, the other's are asked.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any, cast

from datagen.distributed.block_queue import Block, BlockQueue
from datagen.distributed.steps import StepJob
from datagen.engines.protocol import Engine

#: An engine that has not ended by then is left to die with its process.
CLOSE_SECONDS = 20.0


class EngineThread:
    """Asks and writes what is missing for blocks of keys; `start` returns the loaded engine, called in the thread."""

    def __init__(self, job: StepJob[Any, Any], start: Callable[[], AbstractContextManager[Engine]]) -> None:
        self.job, self._start = job, start
        self.queue: BlockQueue[Any] = BlockQueue(job.following, job.owner, job.learn, job.forget)
        self._broken: BaseException | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def do(self, keys: Sequence[str]) -> None:
        """Block until everything about the keys is asked and written.

        Raises:
            EngineError: the engine cannot be loaded or cannot go on; every later call raises it too.
        """
        block = Block(keys, self.job.recall(keys))
        with self._lock:
            if self._broken:
                raise self._broken
            self.queue.add(block)
        block.wait()

    def close(self) -> None:
        """Stop the thread and the engine; no block may be open."""
        self.queue.close()
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            with self._start() as engine:
                # One that batches is fed as one that does not: windows are then cut from what has come so far.
                streaming = cast("Engine", SimpleNamespace(stream=engine.stream, traffic=engine.traffic, window=None))
                while self.queue.wait_for_block():
                    self.job.ask(self.queue, streaming if engine.window else engine)
        except BaseException as error:  # whatever it is, callers that wait for blocks must get it
            with self._lock:
                self._broken = error
            self.queue.fail(error)
