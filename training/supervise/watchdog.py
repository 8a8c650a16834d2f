"""The stall watchdog: wait for a trainer, and end one that hangs.

verl hangs instead of exiting when its rollout engine dies. A fatal log line, silence for too long, or no step for too
long ends the wait; in the last two cases every process first dumps its stacks.
"""

import re
import signal
import subprocess
import time
from pathlib import Path

from capcurriculum.errors import TrainerError
from training.supervise import processes, stacks
from training.supervise.job import STACKS, Job, scratch
from training.supervise.metrics import Tail

#: Lines after which verl 0.9.1 makes no progress although its process lives.
FATAL = re.compile(
    r"EngineDeadError|EngineCore (?:encountered|failed)|Worker failed with error|WorkerProc hit an exception"
    r"|ActorDiedError|RayTaskError|OutOfMemoryError|killed due to memory pressure"
)
#: A line with a cause: `SomethingError: ...`, at its start or after Ray's `(Actor pid=1)` prefix, or Ray's report that
#: it killed workers for lack of memory, for which verl then waits forever.
_REASON = re.compile(
    r"(?:^|\s)((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)(?:\(\w+\))?: \S.*"
    r"|\d+ Workers \(tasks / actors\) killed due to memory pressure \(OOM\))"
)
#: Errors that only report an error of another process.
_ECHO = re.compile(r"EngineDeadError|ActorDiedError|RayTaskError|ChildFailedError|Received an empty list as keys")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: Seconds that a trainer may take after a fatal line to log the error and to exit by itself.
FATAL_GRACE = 10.0
#: Seconds between two reads of the log, and between two looks for shared memory.
POLL = 0.5
LOOK = 5.0


def watch(job: Job, child: "subprocess.Popen[bytes]", start: int, looks: Tail, memory: set[Path]) -> None:
    """Wait until the child exits with code 0, and call `job.on_step` and `job.on_look` meanwhile.

    Args:
        job: what was started.
        child: its first process.
        start: the offset in the log, in bytes, at which this attempt begins.
        looks: the pixel canary's file.
        memory: gets the shared memory that the tree maps, which cannot be found after its end.

    Raises:
        TrainerError: the child failed, logged a fatal line or stalled.
    """
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
    """Dump the stacks of every process, and return the error."""
    dumped = stacks.dump(scratch(job.folder) / STACKS, processes.belonging(job.folder, group))
    job.stacks.write_text(dumped, encoding="utf-8")
    return TrainerError(
        f"The trainer {what} for {seconds / 60:g} minutes and was ended (last error: {last_error(job.log, start)}); "
        f"where every process stood is in {job.stacks}, its log is {job.log}; raise training.{key} if it was only "
        f"slow, and run again to resume."
    )


def ended(code: int, log: Path, start: int) -> str:
    """How the trainer ended; after a kill only a logged error is named, since the last line would not be the cause."""
    if code > 0:
        return f"ended with code {code}: {last_error(log, start)}"
    why = last_error(log, start, otherwise="")
    return f"was killed by {signal.Signals(-code).name}{f': {why}' if why else ''}"


def last_error(log: Path, start: int, otherwise: str | None = None) -> str:
    """The last line of this attempt that names an error, else `otherwise` or its last line; at most 300 characters.

    An error that only reports another process's counts if there is no other.
    """
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 1_000_000))
        lines = [_COLOURS.sub("", line).strip() for line in file.read().decode(errors="replace").splitlines()]
    errors = [found[1] for line in lines if (found := _REASON.search(line))]
    if not errors and otherwise is not None:
        return otherwise
    causes = [error for error in errors if not _ECHO.search(error)]
    candidates = causes or errors or [line for line in lines if line] or ["it said nothing"]
    return candidates[-1].rstrip(".")[:300]
