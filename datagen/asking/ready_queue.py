"""Ready queue of keys whose next requests depend on their last replies; there is no barrier between rounds.

A caption whose question was refused, or a question whose pass rate is still open, is asked again as soon as its own
replies are there, so an engine that streams is never drained at the end of a round.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ReadyQueue(Generic[Item]):
    """An iterable of items for `ask_missing`; the caller reports every recorded reply by `heard`.

    `following` returns the next items of a key, none when it is done; `owner` returns the key of an item. Yields None
    while every key waits for replies.
    """

    def __init__(
        self, owners: Iterable[str], following: Callable[[str], Sequence[Item]], owner: Callable[[Item], str]
    ) -> None:
        self._ready = deque(owners)
        self._following, self._owner = following, owner
        self._owed: dict[str, int] = {}
        self._finished = 0

    def __iter__(self) -> Iterator[Item | None]:
        while self._more() or self._owed:
            if not self._ready:
                yield None
                continue
            key = self._ready.popleft()
            if items := self._following(key):
                self._owed[key] = len(items)
                yield from items
            else:
                self._ended(key)

    def _more(self) -> bool:
        """Whether a key is ready."""
        return bool(self._ready)

    def _ended(self, key: str) -> None:
        """Called with a key that is done."""
        self._finished += 1

    def heard(self, item: Item) -> None:
        """Report a recorded reply; with the last one that a key waits for, the key is ready again."""
        key = self._owner(item)
        self._owed[key] -= 1
        if not self._owed[key]:
            del self._owed[key]
            # At once, while the engine still has the key's image and prompt in its cache.
            self._ready.appendleft(key)

    def newly_finished(self) -> int:
        """Number of keys done since the last call."""
        finished, self._finished = self._finished, 0
        return finished
