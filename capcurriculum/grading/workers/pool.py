"""Worker processes that ask math-verify, so that no answer can hang, crash or starve another.

Started on first use; they work from any thread and from forked or daemonic processes, and never outlive their parent.
What an answer may cost is processor time of that one comparison, the same whatever came before it and whatever else the
machine does. One that runs out of it, or whose worker was starved, is asked once more, alone and with more time, and
only then FAILED: a verdict does not depend on the load.
"""

import atexit
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from capcurriculum.errors import EngineError
from capcurriculum.rows import Outcome
from capcurriculum.trust import child_environment

CPU_SECONDS = 1.0  # of processor for one answer; honest answers take hundredths, the slowest seen half a second
ALONE_CPU_SECONDS = 2.0  # for the second try
LIMIT_SECONDS = 6.0  # wall clock for the first try; only a starved or a stopped worker comes near it
ALONE_LIMIT_SECONDS = 60.0
_MARGIN_SECONDS = 0.3  # how much earlier the worker gives up on its child, so that only a child must be replaced
START_SECONDS = 120.0
_WORDS = {
    "equal": Outcome.RIGHT,
    "different": Outcome.WRONG,
    "unparsed": Outcome.UNPARSED,
    "failed": Outcome.FAILED,
    "late": Outcome.FAILED,
}
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a worker says. `final` is False where another attempt could end otherwise: it says nothing of the answer."""

    outcome: Outcome
    detail: str
    final: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of processor and of wall clock for one answer."""

    cpu: float
    wall: float


class _Worker:
    """One supervising process (see `worker`) and the pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        # By path and with -P: neither the caller's folder nor this package's modules can shadow a library.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment.environment({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}),
            start_new_session=True,  # Ctrl-C is for the caller; a kill reaches the whole group
            bufsize=0,
        )
        self.usable = True
        self._requests = cast(IO[bytes], self._process.stdin)  # both are PIPE, so neither is None
        self._replies = cast(IO[bytes], self._process.stdout)
        greeting = self._read(START_SECONDS)
        if greeting != b"ready\n":
            self.end()
            said = (greeting or b"").decode(errors="replace").strip() or "it said nothing"
            raise EngineError(f"The maths worker cannot start ({said}); install math-verify into {sys.prefix}.")

    def ask(self, answer: str, gold: str, limits: Limits) -> tuple[str, str, float] | None:
        """(word, why, seconds of processor), or None when its process is gone; `usable`: it can be asked again."""
        self.usable = False
        request = (answer, gold, limits.cpu, max(limits.wall - _MARGIN_SECONDS, 0.0))
        try:
            os.write(self._requests.fileno(), json.dumps(request).encode() + b"\n")
            reply = self._read(limits.wall)
        except BrokenPipeError:
            return None
        if reply is None:
            return "late", f"no verdict within {limits.wall:g} s", limits.wall
        if not reply.endswith(b"\n"):
            return None
        self.usable = True
        word, detail, seconds = json.loads(reply)
        return word, detail, seconds

    def _read(self, seconds: float) -> bytes | None:
        """One line; less than a line when the process ended; None when time ran out."""
        deadline, line = time.monotonic() + seconds, b""
        waiter = select.poll()  # select() cannot take descriptors above 1023
        waiter.register(self._replies, select.POLLIN)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not waiter.poll(left * 1000):
                return None
            part = os.read(self._replies.fileno(), 65536)
            if not part:
                return line
            line += part
        return line

    def end(self) -> None:
        """Kill the process and its child, and collect it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close the pipes; in a forked process that is all that may be done with the parent's worker."""
        self._process.returncode = self._process.returncode or 0  # no warning about a child it may not wait for
        self._requests.close()
        self._replies.close()


class _Pool:
    """At most `size` workers; a caller takes one, or starts one, or waits for one."""

    def __init__(self, size: int) -> None:
        # Last in, first out: one thread alone keeps using one worker, and the others are never started.
        self._free: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._started: set[_Worker] = set()
        self._alone = threading.Lock()
        for _ in range(size):
            self._free.put(None)

    def ask(self, answer: str, gold: str) -> Verdict:
        """The verdict of any worker; of a second, unhurried one where the first ran out of time."""
        verdict = self._ask(answer, gold, Limits(CPU_SECONDS, LIMIT_SECONDS))
        if verdict.final:
            return verdict
        with self._alone:
            return self._ask(answer, gold, Limits(ALONE_CPU_SECONDS, ALONE_LIMIT_SECONDS), last=True)

    def _ask(self, answer: str, gold: str, limits: Limits, *, last: bool = False) -> Verdict:
        """One try, repeated if the worker turns out to be dead; final unless it ran out of time or of workers."""
        for _ in range(2):
            worker = self._free.get()
            try:
                if worker is None:
                    worker = _Worker()
                    self._started.add(worker)
                reply = worker.ask(answer, gold, limits)
            finally:
                if worker is not None and not worker.usable:
                    self._discard(worker)
                    worker = None
                self._free.put(worker)
            if reply is not None:
                word, detail, seconds = reply
                out_of_processor = word == "failed" and seconds >= limits.cpu
                return Verdict(_WORDS[word], detail, final=word != "late" and (last or not out_of_processor))
        return Verdict(Outcome.FAILED, "the maths worker died twice", final=False)

    def _discard(self, worker: _Worker) -> None:
        self._started.discard(worker)
        worker.end()

    def end(self) -> None:
        for worker in tuple(self._started):
            self._discard(worker)

    def let_go(self) -> None:
        for worker in tuple(self._started):
            worker.let_go()


_shared: _Pool | None = None
_lock = threading.Lock()


def workers() -> int:
    """Most worker processes one process will start."""
    return max(1, min(4, os.cpu_count() or 1))


def ask(answer: str, gold: str) -> Verdict:
    """Whether math-verify holds two answers equal.

    Raises:
        EngineError: the worker cannot start, for example because math-verify is not installed.
    """
    return _pool().ask(answer, gold)


def _pool() -> _Pool:
    global _shared
    with _lock:
        if _shared is None:
            _shared = _Pool(workers())
            atexit.register(shut_down)
        return _shared


def shut_down() -> None:
    """End the workers; the next comparison starts new ones."""
    global _shared
    with _lock:
        pool, _shared = _shared, None
    if pool is not None:
        pool.end()


def _forget_after_fork() -> None:
    """A forked process must not share its parent's workers, nor keep their pipes open after the parent's death."""
    global _shared, _lock
    pool, _shared, _lock = _shared, None, threading.Lock()
    if pool is not None:
        pool.let_go()


os.register_at_fork(after_in_child=_forget_after_fork)
