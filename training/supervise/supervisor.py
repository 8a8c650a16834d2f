"""Run one trainer process tree under supervision.

The child writes its own log file, so nothing it says is lost when we die; we only watch the file. verl hangs instead of
exiting when its rollout engine dies, hence the watchdog: a fatal line, silence for too long, or no step for too long
ends the whole tree, after the last two once every process has written down where it stands. On every way out, an
exception or Ctrl-C included, no process of the tree and no scratch folder is left.
"""

import dataclasses
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum import signals
from capcurriculum.errors import TrainerError
from training.canary import record as canary
from training.supervise import processes, stacks
from training.supervise.metrics import Tail

#: Lines after which verl 0.9.1 never comes back although its process lives on.
FATAL = re.compile(
    r"EngineDeadError|EngineCore (?:encountered|failed)|Worker failed with error|WorkerProc hit an exception"
    r"|ActorDiedError|RayTaskError|OutOfMemoryError|killed due to memory pressure"
)
#: A line that says why: `SomethingError: ...`, at the line's start or behind Ray's `(Actor pid=1)` prefix, or that Ray
#: killed workers for want of memory, after which verl waits for them forever.
_REASON = re.compile(
    r"(?:^|\s)((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)(?:\(\w+\))?: \S.*"
    r"|\d+ Workers \(tasks / actors\) killed due to memory pressure \(OOM\))"
)
#: Errors that only tell that another process has met one.
_ECHO = re.compile(r"EngineDeadError|ActorDiedError|RayTaskError|ChildFailedError|Received an empty list as keys")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: Seconds a trainer may take to report the error whose first sign it has logged, and to exit by itself.
FATAL_GRACE = 10.0
POLL = 0.5
LOOK = 5.0
_STACKS = "stacks"


@dataclass(frozen=True, slots=True)
class Job:
    """What to run and where its traces go; `folder` is absolute and is the job's working directory.

    `stall_seconds` is how long it may print nothing, `step_seconds` how long a step may take, the first one's start
    included. `on_step` gets each step's metrics as verl wrote them, `on_look` each look of the pixel canary.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stall_seconds: float
    step_seconds: float = float("inf")
    on_step: Callable[[Mapping[str, Any]], None] = lambda step: None
    on_look: Callable[[Mapping[str, Any]], None] = lambda look: None

    def reporting(self, on_step: Callable[[Mapping[str, Any]], None]) -> "Job":
        """The same job with another `on_step`."""
        return dataclasses.replace(self, on_step=on_step)

    @property
    def log(self) -> Path:
        """All that every attempt printed."""
        return self.folder / "verl.log"

    @property
    def trainer_metrics(self) -> Path:
        """verl's own metrics file, which it starts afresh on every attempt."""
        return self.folder / "verl-metrics.jsonl"

    @property
    def looks(self) -> Path:
        """What the pixel canary found, of every attempt; the trainer appends to it."""
        return self.folder / canary.FILE

    @property
    def stacks(self) -> Path:
        """Where every process stood when the last attempt that stalled was ended."""
        return self.folder / "stacks.txt"


def scratch(folder: Path) -> Path:
    """The temporary folder of the run of `folder`, always the same; short, for Ray's socket paths end at 107 bytes."""
    name = hashlib.sha256(f"{os.getuid()}:{folder}".encode()).hexdigest()[:10]
    return Path("/tmp") / f"cc-{name}"  # noqa: S108 (short on purpose, and ours alone: made with mode 0700)


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
    (folder / _STACKS).mkdir()
    job.trainer_metrics.unlink(missing_ok=True)
    start, looks = _size(job.log), Tail(job.looks, _size(job.looks))
    environment = dict(job.environment) | {
        processes.MARKER: str(job.folder),
        "TMPDIR": str(folder),
        "RAY_TMPDIR": str(folder),
        "VERL_FILE_LOGGER_PATH": str(job.trainer_metrics),
        stacks.FOLDER: str(folder / _STACKS),
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
            _watch(job, child, start, looks, memory)
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


def _watch(job: Job, child: "subprocess.Popen[bytes]", start: int, looks: Tail, memory: set[Path]) -> None:
    """Wait for the child; note in `memory` what shared memory its tree uses, for after the end it cannot be seen."""
    log, metrics = Tail(job.log, start), Tail(job.trainer_metrics)
    heard = stepped = looked = time.monotonic()
    fatal_at: float | None = None
    while True:
        code = child.poll()  # before reading, so that the last lines of an ended child are read
        lines = log.lines()
        steps = metrics.records()
        for look in looks.records():
            job.on_look(look)
        for step in steps:
            job.on_step(step)
        now = time.monotonic()
        heard = now if lines or steps else heard
        stepped = now if steps else stepped
        if code is not None:
            break
        if now - looked > LOOK:
            memory |= processes.shared_memory(processes.belonging(job.folder, child.pid))
            looked = now
        if fatal_at is None and any(FATAL.search(line) for line in lines):
            fatal_at = now
        if fatal_at is not None and now - fatal_at > FATAL_GRACE:
            raise TrainerError(f"The trainer broke down: {last_error(job.log, start)}; its log is {job.log}.")
        if now - heard > job.stall_seconds:
            raise _stalled(job, child.pid, start, "said nothing", job.stall_seconds, "stall_minutes")
        if now - stepped > job.step_seconds:
            raise _stalled(job, child.pid, start, "finished no step", job.step_seconds, "step_minutes")
        time.sleep(POLL)
    if code != 0:
        raise TrainerError(f"The trainer {ended(code, job.log, start)}; its log is {job.log}.")


def _stalled(job: Job, group: int, start: int, what: str, seconds: float, key: str) -> TrainerError:
    """Write down where every process stands, and say so."""
    where = stacks.dump(scratch(job.folder) / _STACKS, processes.belonging(job.folder, group))
    job.stacks.write_text(where, encoding="utf-8")
    return TrainerError(
        f"The trainer {what} for {seconds / 60:g} minutes and was ended (last error: {last_error(job.log, start)}); "
        f"where every process stood is in {job.stacks}, its log is {job.log}; raise training.{key} if it was only "
        f"slow, and run again to resume."
    )


def _keep_ray_logs(temporary: Path, target: Path) -> None:
    """Save Ray's own logs from the scratch folder: they say why one of its services died, which verl's log does not."""
    shutil.rmtree(target, ignore_errors=True)
    for logs in temporary.glob("ray/session_2*/logs"):
        shutil.copytree(logs, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)


def ended(code: int, log: Path, start: int) -> str:
    """How the trainer ended; a kill came from outside, so that only an error before it, not the last line, says why."""
    if code > 0:
        return f"ended with code {code}: {last_error(log, start)}"
    why = last_error(log, start, otherwise="")
    return f"was killed by {signal.Signals(-code).name}{f': {why}' if why else ''}"


def last_error(log: Path, start: int, otherwise: str | None = None) -> str:
    """The last line of this attempt that names an error, else `otherwise` or its last line, at most 300 characters.

    An error that is only another process's echo counts where there is no other.
    """
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 1_000_000))
        lines = [_COLOURS.sub("", line).strip() for line in file.read().decode(errors="replace").splitlines()]
    errors = [found[1] for line in lines if (found := _REASON.search(line))]
    if not errors and otherwise is not None:
        return otherwise
    causes = [error for error in errors if not _ECHO.search(error)]
    said = causes or errors or [line for line in lines if line] or ["it said nothing"]
    return said[-1].rstrip(".")[:300]
