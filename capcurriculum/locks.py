"""Who may write a run: one process alone, or several that hold different shares of it.

The locks are advisory (`flock`) and die with their process. On a shared file system they hold between machines if it
passes `flock` on, as NFS does since Linux 2.6.12 and Lustre when mounted with `-o flock`.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.share import Share


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else writes `path`.

    Raises:
        RunError: somebody does.
    """
    with _held(path / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB, f"Another process is writing {path}"):
        yield


@contextmanager
def sharing(path: Path, share: Share) -> Iterator[None]:
    """Nobody else writes this share of `path`, and nobody all of it or a share of another size.

    Raises:
        RunError: somebody does.
    """
    with _held(path / ".lock", fcntl.LOCK_SH | fcntl.LOCK_NB, f"Another process is writing all of {path}"):
        own = path / f".lock-{share}"
        with _held(own, fcntl.LOCK_EX | fcntl.LOCK_NB, f"Another process is writing shard {share} of {path}"):
            for other in path.glob(".lock-*-of-*"):
                found = re.fullmatch(r"\.lock-\d+-of-(\d+)", other.name)
                if found and int(found[1]) != share.of:
                    taken = (
                        f"Shards of {found[1]} are being written in {path}, and shard {share} would overlap with them"
                    )
                    with _held(other, fcntl.LOCK_EX | fcntl.LOCK_NB, taken):
                        pass
            yield


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until no other share is at what all of them need, such as reading the sources."""
    with _held(path / ".lock-sources", fcntl.LOCK_EX, ""):
        yield


@contextmanager
def _held(file: Path, mode: int, taken: str) -> Iterator[None]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, mode)
    except BlockingIOError as error:
        os.close(handle)
        raise RunError(f"{taken}; wait for it to end, or stop it.") from error
    try:
        yield
    finally:
        os.close(handle)
