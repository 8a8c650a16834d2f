r"""Whether two maths answers are equal, with a hard limit on what one answer may cost.

Spelling and plain numbers are settled here, in microseconds. The rest goes to a pool of worker processes, started on
first use; it works from any thread and from forked or daemonic processes, and never outlives its parent: an answer that
hangs, crashes or eats memory is FAILED within `LIMIT_SECONDS`, and the next one finds a fresh worker. Starting a worker
(it loads sympy) takes a second or two and is not charged to any answer.
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
from pathlib import Path
from typing import IO, cast

from capcurriculum.errors import EngineError
from capcurriculum.maths_text import (
    assigned,
    astronomical,
    canonical,
    close,
    is_words,
    number,
    without_thousands,
    without_unit,
)
from capcurriculum.rows import Outcome

LIMIT_SECONDS = 2.0  # wall clock, for one answer, however busy the machine is
CPU_SECONDS = 1.0  # of processor; honest answers take hundredths
_MARGIN_SECONDS = 0.3  # how much earlier the worker gives up on its child, so that only a child must be replaced
START_SECONDS = 120.0
MAX_CHARACTERS = 1000  # no honest final answer is longer; the parser's cost grows faster than its input
_WORDS = {"equal": Outcome.RIGHT, "different": Outcome.WRONG, "unparsed": Outcome.UNPARSED, "failed": Outcome.FAILED}
_WORKER = Path(__file__).with_name("maths_worker.py")


def compare(answer: str, gold: str) -> tuple[Outcome, str]:
    """Whether `answer` equals `gold`, and why where that is not known.

    Raises:
        EngineError: the worker cannot start, for example because math-verify is not installed.
    """
    if answer.strip() == gold.strip():
        return Outcome.RIGHT, ""
    if max(len(answer), len(gold)) > MAX_CHARACTERS:
        return Outcome.FAILED, f"longer than {MAX_CHARACTERS} characters"
    given, expected = canonical(answer), canonical(gold)
    if given and given == expected:
        return Outcome.RIGHT, ""
    given, expected = without_thousands(given), without_thousands(expected)
    if (assigned(given) is None) != (assigned(expected) is None):
        given, expected = assigned(given) or given, assigned(expected) or expected
    (given, unit), (expected, gold_unit) = without_unit(given), without_unit(expected)
    if unit and gold_unit and unit != gold_unit:
        return Outcome.FAILED, "the answer and the gold answer have different units, and units are not converted"
    settled = _settle(given, expected)
    if settled is not None:
        return settled, ""
    if astronomical(given) or astronomical(expected):
        return Outcome.FAILED, "a number of more than ten thousand digits"
    if max(len(given), len(expected)) > 2 * MAX_CHARACTERS:
        return Outcome.FAILED, "too long once its symbols are spelt out"
    return _pool().ask(_hundredths(given), _hundredths(expected))


def _hundredths(text: str) -> str:
    """`%` as a division: math-verify takes 9% and 9 for equal."""
    return text.replace(r"\%", "%").replace("%", "/100")


def _settle(given: str, expected: str) -> Outcome | None:
    """RIGHT or WRONG where no algebra is needed, else None."""
    if given == expected:
        return Outcome.RIGHT
    if not given or not expected:
        return Outcome.UNPARSED if not given else Outcome.WRONG
    value, gold_value = number(given), number(expected)
    if value is not None and gold_value is not None:
        return Outcome.RIGHT if close(value, gold_value, rounded="." in given + expected) else Outcome.WRONG
    if is_words(given) or is_words(expected):
        return Outcome.RIGHT if given.casefold() == expected.casefold() else Outcome.WRONG
    # math-verify takes a and A for one symbol. Names differ by case here, and two lone letters are two names.
    lone = len(given) == len(expected) == 1 and given.isalpha() and expected.isalpha()
    if lone or given.casefold() == expected.casefold():
        return Outcome.WRONG
    return None


class _Worker:
    """One supervising process (see `maths_worker`) and the pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        # By path and with -P: neither the caller's folder nor this package's modules can shadow a library.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER), str(CPU_SECONDS), str(LIMIT_SECONDS - _MARGIN_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
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

    def ask(self, answer: str, gold: str) -> tuple[Outcome, str] | None:
        """The worker's word, or None when its process is gone; `usable` says whether it can be asked again."""
        self.usable = False
        try:
            os.write(self._requests.fileno(), json.dumps((answer, gold)).encode() + b"\n")
            reply = self._read(LIMIT_SECONDS)
        except BrokenPipeError:
            return None
        if reply is None:
            return Outcome.FAILED, f"no verdict within {LIMIT_SECONDS:g} s"
        if not reply.endswith(b"\n"):
            return None
        self.usable = True
        word, detail = json.loads(reply)
        return _WORDS[word], detail

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
        for _ in range(size):
            self._free.put(None)

    def ask(self, answer: str, gold: str) -> tuple[Outcome, str]:
        """The verdict of any worker, asked a second time if the first one turns out to be dead."""
        for _ in range(2):
            worker = self._free.get()
            try:
                if worker is None:
                    worker = _Worker()
                    self._started.add(worker)
                verdict = worker.ask(answer, gold)
            finally:
                if worker is not None and not worker.usable:
                    self._discard(worker)
                    worker = None
                self._free.put(worker)
            if verdict is not None:
                return verdict
        return Outcome.FAILED, "the maths worker died twice"

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
