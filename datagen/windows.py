"""Cut a stream into lists of a fixed length."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; `itertools.batched` is newer than Python 3.11."""
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window
