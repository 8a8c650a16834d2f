"""Run one trainer process tree under supervision.

The trainer writes its log file itself, so nothing is lost if the supervisor dies; the watchdog reads that file. However
a run ends, also by an exception or Ctrl-C, no process of the tree and no scratch folder is left.
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
        TrainerError: its folder holds importable files, or it failed, crashed or stalled; the sentence holds its last
            error and the log's path. Errors of `on_step` and `on_look` end it too.
        KeyboardInterrupt: after the tree has been ended; SIGTERM counts as one.
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
    child = _start(job, folder)
    memory: set[Path] = set()
    try:
        with signals_as_interrupts():  # batch systems end a job by SIGTERM
            watch(job, child, start, looks, memory)
    except TrainerError:
        # Ray's own logs say why one of its services died; verl's log does not.
        shutil.rmtree(job.folder / "ray-logs", ignore_errors=True)
        for logs in folder.glob("ray/session_2*/logs"):
            shutil.copytree(logs, job.folder / "ray-logs", dirs_exist_ok=True, ignore_dangling_symlinks=True)
        raise
    finally:
        with signals_ignored():  # a second Ctrl-C must not interrupt the clean-up
            processes.end(job.folder, child.pid)
            child.wait()
            processes.release(memory)
            shutil.rmtree(folder, ignore_errors=True)


def _start(job: Job, folder: Path) -> "subprocess.Popen[bytes]":
    environment = dict(job.environment) | {
        processes.MARKER: str(job.folder),
        "TMPDIR": str(folder),
        "RAY_TMPDIR": str(folder),
        "VERL_FILE_LOGGER_PATH": str(job.trainer_metrics),
        stacks.FOLDER: str(folder / STACKS),
    }
    with job.log.open("ab") as log:
        return subprocess.Popen(
            list(job.command),
            cwd=job.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group, not a session: Linux desktops schedule each session as one group, so the many processes of a run
            # would share the CPU time that a single process of the user's terminal gets.
            process_group=0,
            preexec_fn=processes.die_with_parent,
        )


@contextmanager
def _signals(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Install signal handlers for a block; does nothing outside the main thread, where Python cannot install any."""
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
    """Treat SIGTERM as Ctrl-C within a block."""
    return _signals({signal.SIGTERM: signals.end})


def signals_ignored() -> AbstractContextManager[None]:
    """Ignore SIGTERM, SIGINT and SIGHUP within a block."""
    return _signals(dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), signal.SIG_IGN))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
