"""A ready queue that is given keys in blocks while it is asked, so that the engine never idles between two blocks."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from datagen.asking.ready_queue import Item, ReadyQueue


class Block:
    """Keys given to a worker at once; `wait` blocks until each is done and written.

    `facts` is what the run's tables hold about them, by kind.
    """

    def __init__(self, keys: Sequence[str], facts: object) -> None:
        self.keys, self.facts = keys, facts
        self._left = set(keys)
        self._error: BaseException | None = None
        self._over = threading.Event()
        if not self._left:
            self._over.set()

    def written(self, key: str) -> None:
        """Count one key as done."""
        self._left.discard(key)
        if not self._left:
            self._over.set()

    def fail(self, error: BaseException) -> None:
        """Fail the block: `wait` raises the error."""
        self._error = error
        self._over.set()

    def wait(self) -> None:
        """Block until all keys are written; raises the error the block failed with."""
        self._over.wait()
        if self._error:
            raise self._error


class BlockQueue(ReadyQueue[Item]):
    """One iteration lasts as long as there is something to ask; `wait_for_block`, then iterate again.

    `learn` gets the facts of a block and those of its keys that are new; `forget` a key that is done and written. A key
    that is given again, as Ray may after a broken connection, is not asked again.
    """

    def __init__(
        self,
        following: Callable[[str], Sequence[Item]],
        owner: Callable[[Item], str],
        learn: Callable[[Any, Sequence[str]], None],
        forget: Callable[[str], None],
    ) -> None:
        super().__init__((), following, owner)
        self._learn, self._forget = learn, forget
        self._coming: SimpleQueue[Block | None] = SimpleQueue()
        self._open: dict[str, list[Block]] = {}
        self._unwritten: list[str] = []
        self._done: set[str] = set()

    def add(self, block: Block) -> None:
        """Add a block; thread-safe."""
        self._coming.put(block)

    def close(self) -> None:
        """Say that no block will come any more; thread-safe, to be called when none is open."""
        self._coming.put(None)

    def wait_for_block(self) -> bool:
        """Block until there is a block; False if the queue was closed."""
        block = self._coming.get()
        if block:
            self._take(block)
        return bool(block)

    def fail(self, error: BaseException) -> None:
        """Fail every open block."""
        self._take_all()
        for block in {id(block): block for blocks in self._open.values() for block in blocks}.values():
            block.fail(error)

    def newly_finished(self) -> int:
        """See `ReadyQueue`; what has ended by now is written."""
        for key in self._unwritten:
            self._done.add(key)
            self._forget(key)
            for block in self._open.pop(key):
                block.written(key)
        self._unwritten.clear()
        return super().newly_finished()

    def _more(self) -> bool:
        self._take_all()
        return super()._more()

    def _ended(self, key: str) -> None:
        super()._ended(key)
        self._unwritten.append(key)

    def _take_all(self) -> None:
        while True:
            try:
                block = self._coming.get_nowait()
            except Empty:
                return
            if block is None:
                self.close()  # for whoever waits next
                return
            self._take(block)

    def _take(self, block: Block) -> None:
        new = [key for key in block.keys if key not in self._done and key not in self._open]
        self._learn(block.facts, new)
        self._ready.extend(new)
        for key in block.keys:
            if key in self._done:
                block.written(key)
            else:
                self._open.setdefault(key, []).append(block)
