"""Owners that are asked again depending on their last replies, each without waiting for the others.

A caption whose question was refused, a question whose pass rate is still open: what they are asked next is known as
soon as their own replies are there, so an engine that streams is never drained at the end of a round.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Items of all owners, for `asking.ask_missing`; whoever records a reply calls `heard`.

    `following` gives what an owner lacks at its present turn, nothing when it needs no more; `owner` tells whose an
    item is.
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
        """Whether an owner's turn has come."""
        return bool(self._ready)

    def _ended(self, key: str) -> None:
        """An owner needs no more."""
        self._finished += 1

    def heard(self, item: Item) -> None:
        """A reply was recorded; the last one of a turn opens the owner's next."""
        key = self._owner(item)
        self._owed[key] -= 1
        if not self._owed[key]:
            del self._owed[key]
            # At once, while the engine still remembers the owner's image and prompt.
            self._ready.appendleft(key)

    def newly_finished(self) -> int:
        """How many owners turned out to need no more since this was last asked, which is whenever rows were written."""
        finished, self._finished = self._finished, 0
        return finished
