"""Concurrent downloads, with a limit and a pause per host.

Jobs wait in a window of bounded size, and the first whose host is free goes next, so one slow host delays its own jobs
only. Results come as they finish; memory holds the window and no more.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from capcurriculum.recipe.sources import Download

Job = TypeVar("Job")
Result = TypeVar("Result")
#: Jobs looked at for one whose host is free, a worker.
WINDOW_PER_WORKER = 8


@dataclass(slots=True)
class _Hosts:
    """What each host is doing, and when it may be asked next."""

    section: Download
    busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    free_at: dict[str, float] = field(default_factory=dict)

    def ready(self, host: str, now: float) -> bool:
        return self.busy[host] < self.section.per_host and self.free_at.get(host, 0.0) <= now

    def start(self, host: str, now: float) -> None:
        self.busy[host] += 1
        self.free_at[host] = now + self.section.pause_seconds

    def end(self, host: str) -> None:
        self.busy[host] -= 1
        if not self.busy[host]:
            del self.busy[host]
        if len(self.free_at) > 10_000:
            now = time.monotonic()
            self.free_at = {name: at for name, at in self.free_at.items() if at > now}


def fetch_all(
    jobs: Iterable[Job], section: Download, host_of: Callable[[Job], str], work: Callable[[Job], Result]
) -> Iterator[tuple[Job, Result]]:
    """(job, its result) as they finish, within the recipe's limits; what `work` raises is raised here."""
    source, waiting = iter(jobs), deque[Job]()
    flying: dict[Future[Result], tuple[Job, str]] = {}
    hosts = _Hosts(section)
    pool = ThreadPoolExecutor(section.concurrency, thread_name_prefix="download")
    try:
        while True:
            waiting.extend(islice(source, section.concurrency * WINDOW_PER_WORKER - len(waiting)))
            for _ in range(len(waiting)):
                if len(flying) >= section.concurrency:
                    break
                job, now = waiting.popleft(), time.monotonic()
                host = host_of(job)
                if hosts.ready(host, now):
                    hosts.start(host, now)
                    flying[pool.submit(work, job)] = (job, host)
                else:
                    waiting.append(job)
            if not flying and not waiting:
                return
            if not flying:  # some host's pause is what keeps the jobs
                time.sleep(min(0.05, section.pause_seconds or 0.05))
            for future in wait(flying, timeout=0.05, return_when=FIRST_COMPLETED).done if flying else ():
                job, host = flying.pop(future)
                hosts.end(host)
                yield job, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
