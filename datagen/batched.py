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


def windows_until_none(items: Iterable[Item | None], size: int) -> Iterator[list[Item]]:
    """As `windows`, but a None, which is left out, ends a window before it is full.

    Raises:
        RuntimeError: two Nones follow each other, so whoever gives them waits for what will never come.
    """
    window: list[Item] = []
    for item in items:
        if item is not None:
            window.append(item)
        elif not window:
            raise RuntimeError("the iterator of requests gave None while every request was answered")
        if window and (item is None or len(window) == size):
            yield window
            window = []
    if window:
        yield window
