"""Run one trainer process tree under supervision.

The child writes its own log file, so nothing it says is lost when the supervisor dies; the watchdog reads that file. On
every way out, an exception or Ctrl-C included, no process of the tree and no scratch folder is left.
"""

import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from capcurriculum import signals
from capcurriculum.errors import TrainerError
from training.supervise import processes, stacks
from training.supervise.job import STACKS, Job, scratch
from training.supervise.metrics import Tail
from training.supervise.watchdog import watch

__all__ = ["Job", "run", "scratch", "signals_as_interrupts", "signals_ignored"]


def run(job: Job) -> None:
    """Run the job to its end.

    Raises:
        TrainerError: its folder holds programs, or it failed, crashed or stalled; the sentence holds its last error and
            the log's path. What `on_look` raises ends it too.
        KeyboardInterrupt: passed on, after the tree has been ended; SIGTERM counts as one.
    """
    if found := processes.importable(job.folder):
        raise TrainerError(
            f"{job.folder} holds {found}, which the trainer's Python would import; look at it, and take it away."
        )
    processes.end(job.folder)  # an attempt whose supervisor was killed
    folder = scratch(job.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / STACKS).mkdir()
    job.trainer_metrics.unlink(missing_ok=True)
    start, looks = _size(job.log), Tail(job.looks, _size(job.looks))
    environment = dict(job.environment) | {
        processes.MARKER: str(job.folder),
        "TMPDIR": str(folder),
        "RAY_TMPDIR": str(folder),
        "VERL_FILE_LOGGER_PATH": str(job.trainer_metrics),
        stacks.FOLDER: str(folder / STACKS),
    }
    with job.log.open("ab") as log:
        child = subprocess.Popen(
            list(job.command),
            cwd=job.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its own group, not its own session: a session is a scheduling group of its own on Linux desktops, and the
            # many processes of one run would share what a single process of the user's terminal gets.
            process_group=0,
            preexec_fn=processes.die_with_parent,
        )
    memory: set[Path] = set()
    try:
        with signals_as_interrupts():  # as a batch system ends a job
            watch(job, child, start, looks, memory)
    except TrainerError:
        _keep_ray_logs(folder, job.folder / "ray-logs")
        raise
    finally:
        with signals_ignored():  # a second Ctrl-C can wait
            processes.end(job.folder, child.pid)
            child.wait()
            processes.release(memory)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _signals(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Handle these signals so for a while; a thread that is not the main one cannot, and has none to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signals_as_interrupts() -> AbstractContextManager[None]:
    """SIGTERM counts as Ctrl-C for a while."""
    return _signals({signal.SIGTERM: signals.end})


def signals_ignored() -> AbstractContextManager[None]:
    """None that ends a command is heard for a while, so that what has to be put away is."""
    return _signals(dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), signal.SIG_IGN))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _keep_ray_logs(temporary: Path, target: Path) -> None:
    """Save Ray's own logs from the scratch folder: they say why one of its services died, which verl's log does not."""
    shutil.rmtree(target, ignore_errors=True)
    for logs in temporary.glob("ray/session_2*/logs"):
        shutil.copytree(logs, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)
