"""Worker processes over slices of files, with as few calls in flight as keep them busy.

Processes are spawned, because threads of the caller's libraries do not survive a fork. A worker that dies, of memory or
of an image that crashes its decoder, ends the check with one sentence.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.errors import TrainerError
from capcurriculum.trust import child_environment
from training.preflight.rows import worker
from training.preflight.rows.settings import Settings
from training.preflight.rows.slices import Slice

#: Rows per slice: about a second of images, so that processes end together and Ctrl-C does not wait.
SLICE_ROWS = 100
#: One more process starts for each so many rows.
ROWS_A_PROCESS = 200


def slices(paths: Sequence[Path], upright: Sequence[bool]) -> list[Slice]:
    """All rows of the files, by row groups and parts of them."""
    found = []
    for number, path in enumerate(paths):
        footer, first = pq.read_metadata(path), 0
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group).num_rows
            # Reading a part means reading what lies before it, so a large group is cut into at most 16 parts.
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
    """One pool per settings; a context manager that ends them."""

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
    """Worker processes under the same settings, started on demand."""

    def __init__(self, settings: Settings, cache: Path | None, processes: int | None) -> None:
        self._count = processes or os.cpu_count() or 1
        self._arguments = (settings, cache, os.getpid())
        self._executor: ProcessPoolExecutor | None = None

    def end(self, *, wait: bool) -> None:
        """End the processes, without `wait` in the background."""
        if self._executor is not None:
            self._executor.shutdown(wait=wait, cancel_futures=True)

    def each(self, method: str, calls: Iterable[Sequence[Any]], rows: int) -> Iterator[Any]:
        """The results of a `Worker` method for tuples of arguments, as they complete.

        Args:
            method: its name.
            calls: tuples of arguments.
            rows: of all calls together; a few are not worth many processes, each of which loads torch.

        Raises:
            TrainerError: a worker died, or raised it.
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
                with _deaths_as_errors():
                    result = future.result()
                yield result

    def ordered(self, method: str, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """As `each`, in the order of the calls."""
        waiting, left = deque[Future[Any]](), iter(calls)
        while True:
            while len(waiting) < self._count and (call := next(left, None)) is not None:
                waiting.append(self._submitted(method, call))
            if not waiting:
                return
            with _deaths_as_errors():
                result = waiting.popleft().result()
            yield result

    def one(self, method: str, *arguments: Any) -> Any:
        """The result of one call."""
        return next(self.ordered(method, [arguments]))

    def _submitted(self, method: str, arguments: Sequence[Any]) -> "Future[Any]":
        # Construction and submission may start a process, which inherits this environment.
        with _deaths_as_errors(), child_environment.swapped(child_environment.environment({})):
            if self._executor is None:
                context = multiprocessing.get_context("spawn")
                context.set_executable(self._arguments[0].libraries.python)
                self._executor = ProcessPoolExecutor(self._count, context, worker.start, self._arguments)
            return self._executor.submit(worker.call, method, *arguments)


@contextmanager
def _deaths_as_errors() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise TrainerError(
            "A process that reads the rows died, of too little memory or of a picture that crashes its decoder; lower "
            "training.preflight.processes, and if it dies again at one process, look for the picture."
        ) from error
