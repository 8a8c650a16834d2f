"""Worker processes over slices of files, results as they come, and never more in flight than keeps them busy.

Spawned, not forked: threads of the caller's libraries do not survive a fork. A worker that dies, of memory or of a
picture that crashes its decoder, ends the check with a sentence and takes nothing else with it.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.errors import TrainerError
from capcurriculum.trust import child_environment
from training.preflight.rows import worker
from training.preflight.rows.settings import Settings
from training.preflight.rows.slices import Slice

#: Rows of a slice: a second or so of pictures, so that processes end together and Ctrl-C is not kept waiting.
SLICE_ROWS = 100
#: Rows that are worth another process.
ROWS_A_PROCESS = 200


def slices(paths: Sequence[Path], upright: Sequence[bool]) -> list[Slice]:
    """All rows of the files, by row groups and parts of them."""
    found = []
    for number, path in enumerate(paths):
        footer, first = pq.read_metadata(path), 0
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group).num_rows
            # A part of a group costs reading what lies before it, so large groups are cut into few parts.
            size = max(SLICE_ROWS, -(-rows // 16))
            for start in range(0, rows, size):
                stop = min(start + size, rows)
                found.append(Slice(number, path, group, first, start, stop, upright[number]))
            first += rows
    return found


def with_ids(parts: Iterable[Slice]) -> Iterator[tuple[Slice, list[str]]]:
    """Every slice with the question ids of its rows."""
    for part in parts:
        with pq.ParquetFile(part.path) as file:
            ids = file.read_row_group(part.group, columns=["question_id"]).column("question_id")
        yield part, ids.slice(part.start, part.stop - part.start).to_pylist()


class Pools:
    """A pool for each settings asked for, all ended together; a context manager."""

    def __init__(self, cache: Path | None, processes: int | None) -> None:
        self.cache = cache
        self._processes = processes
        self._pools: dict[Settings, Pool] = {}

    def __enter__(self) -> "Pools":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            pool.end(wait=error is None)
        self._pools.clear()

    def of(self, settings: Settings) -> "Pool":
        """The pool under these settings."""
        if settings not in self._pools:
            self._pools[settings] = Pool(settings, self.cache, self._processes)
        return self._pools[settings]


class Pool:
    """Processes under the same settings, started as there is work for them."""

    def __init__(self, settings: Settings, cache: Path | None, processes: int | None) -> None:
        self._count = processes or os.cpu_count() or 1
        self._arguments = (settings, cache, os.getpid())
        self._executor: ProcessPoolExecutor | None = None

    def end(self, *, wait: bool) -> None:
        """End the processes; without `wait` they finish what they are at while we go on."""
        if self._executor is not None:
            self._executor.shutdown(wait=wait, cancel_futures=True)

    def each(self, method: str, calls: Iterable[Sequence[Any]], rows: int) -> Iterator[Any]:
        """A worker's method for each tuple of arguments, results as they finish.

        Args:
            method: a name that `worker.call` knows.
            calls: tuples of arguments.
            rows: how many there are in all; a few are not worth starting many processes, each of which loads torch.

        Raises:
            TrainerError: a worker died, or its own.
        """
        waiting, left = set[Future[Any]](), iter(calls)
        most = min(2 * self._count, 1 + rows // ROWS_A_PROCESS)
        while True:
            while len(waiting) < most and (call := next(left, None)) is not None:
                waiting.add(self._submitted(method, call))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield self._result(future)

    def ordered(self, method: str, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """As `each`, in the order of the calls."""
        waiting, left = deque[Future[Any]](), iter(calls)
        while True:
            while len(waiting) < self._count and (call := next(left, None)) is not None:
                waiting.append(self._submitted(method, call))
            if not waiting:
                return
            yield self._result(waiting.popleft())

    def one(self, method: str, *arguments: Any) -> Any:
        """One call."""
        return next(self.ordered(method, [arguments]))

    def _submitted(self, method: str, arguments: Sequence[Any]) -> "Future[Any]":
        try:
            # Both may start a process, and take no environment for it.
            with child_environment.swapped(child_environment.environment({})):
                if self._executor is None:
                    context = multiprocessing.get_context("spawn")
                    context.set_executable(self._arguments[0].libraries.python)
                    self._executor = ProcessPoolExecutor(self._count, context, worker.start, self._arguments)
                return self._executor.submit(worker.call, method, *arguments)
        except BrokenProcessPool as error:
            raise _died() from error

    def _result(self, future: "Future[Any]") -> Any:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise _died() from error


def _died() -> TrainerError:
    return TrainerError(
        "A process that reads the rows died, of too little memory or of a picture that crashes its decoder; lower "
        "training.preflight.processes, and if it dies again at one process, look for the picture."
    )
