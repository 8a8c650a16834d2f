"""Who may write a run: one process alone, or several that hold different shares of it, or one with workers below it.

The locks are advisory (`flock`) and die with their process. On a shared file system they hold between machines if it
passes `flock` on, as NFS does since Linux 2.6.12 and Lustre when mounted with `-o flock`.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.rows import SCHEMA, digest

#: How long the workers of a build that ended just now may take to end as well.
WORKERS_SECONDS = 30.0
_WORKERS = ".lock-workers"


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` (from 0) of `of`."""

    number: int
    of: int

    @staticmethod
    def parse(text: str) -> "Share":
        """Read `i/n` as `--shard` takes it.

        Raises:
            RunError: it is not of that form, or i is not one of 0 to n-1.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not int(found[1]) < int(found[2]):
            raise RunError(f"A shard is i/n with i from 0 to n-1, for example 0/8 to 7/8; {text!r} is not.")
        return Share(int(found[1]), int(found[2]))

    def holds(self, unit: str) -> bool:
        """Whether what is about `unit` (an image, or a problem without one) belongs to this share."""
        return int(digest(SCHEMA, "share", unit), 16) % self.of == self.number

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some units by name, as the rows of a preview; whoever works on them holds the whole run."""

    units: frozenset[str]

    def holds(self, unit: str) -> bool:
        """Whether what is about `unit` belongs to it."""
        return unit in self.units

    def __str__(self) -> str:
        return ""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else writes `path`.

    Raises:
        RunError: somebody does.
    """
    with _held(path / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB, f"Another process is writing {path}"):
        _without_workers(path)
        yield


@contextmanager
def sharing(path: Path, share: Share) -> Iterator[None]:
    """Nobody else writes this share of `path`, and nobody all of it or a share of another size.

    Raises:
        RunError: somebody does.
    """
    with _held(path / ".lock", fcntl.LOCK_SH | fcntl.LOCK_NB, f"Another process is writing all of {path}"):
        _without_workers(path)
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


def employ(path: Path, build: str) -> None:
    """Let workers of `build`, a name used once, write `path`; its caller holds `path` alone."""
    (path / _WORKERS).write_text(build, encoding="utf-8")


@contextmanager
def working(path: Path, build: str) -> Iterator[None]:
    """Be one of several workers that write `path` below the process that holds it alone.

    As long as one of them lives no later build can begin, even if the one that employed it was killed.

    Raises:
        RunError: `path` is not to be seen from here, or belongs to another build by now.
    """
    try:
        handle = os.open(path / _WORKERS, os.O_RDWR)
    except OSError as error:
        raise RunError(
            f"The run folder {path} cannot be used here ({error.strerror}); it must be on a file system that every "
            "node sees under the same path."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        if os.pread(handle, 4096, 0).decode() != build:
            raise RunError(
                f"The run folder {path} as it is seen here is not the one that is being built; every node must see the "
                "same folder under that path."
            )
        yield
    finally:
        os.close(handle)


def _without_workers(path: Path) -> None:
    """Wait until the workers of an earlier build are gone, and let no late one begin."""
    handle = os.open(path / _WORKERS, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        end = time.monotonic() + WORKERS_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise RunError(
                        f"Workers of a build that ended are still writing {path}; stop them (`ray stop` on their "
                        "nodes), or wait for them to end."
                    ) from error
                time.sleep(0.1)
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


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
