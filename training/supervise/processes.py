"""Find and end every process of a trainer, including those that left its process group.

Ray and vLLM start process trees that outlive a killed parent, change sessions and rename themselves (which can destroy
the environment that /proc shows). A process therefore belongs to a run by any of three signs: the trainer's process
group, the marker in its environment, or a parent that belongs. Linux only, like the trainer; no other process is ever
signalled.
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: Environment variable whose value, the stage's folder, marks every process of that stage's run.
MARKER = "CAPCURRICULUM_TRAINING"
_PR_SET_PDEATHSIG = 1
#: How long resource trackers may outlive the other processes.
_TRACKER_SECONDS = 3.0
_SHM = Path("/dev/shm")  # noqa: S108


def die_with_parent() -> None:
    """Have this child killed when its parent dies (`preexec_fn`)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def importable(folder: Path) -> str:
    """The name of something in a working directory that Python would import before any library; "" if there is none.

    Someone else may have made the run that the folder is part of.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in (".py", ".pyc", ".so") or (path / "__init__.py").exists():
            return path.name
    return ""


def belonging(folder: Path, group: int | None = None) -> set[int]:
    """Process ids of the run of `folder`, by marker, by process `group` and by descent."""
    marker = f"{MARKER}={folder}".encode()
    table = {pid: (parent, of_group) for pid, parent, of_group in _table()}
    found = {
        pid for pid, (_, of_group) in table.items() if of_group == group or marker in proc(pid, "environ").split(b"\0")
    }
    while children := {pid for pid, (parent, _) in table.items() if parent in found} - found:
        found |= children
    return found - {os.getpid()}


def shared_memory(pids: set[int]) -> set[Path]:
    """Named shared memory that the processes map; killed processes (Ray kills its actors) would leave it in RAM."""
    lines = (line for pid in pids for line in proc(pid, "maps").decode(errors="replace").splitlines())
    names = (line.partition("/dev/shm/")[2] for line in lines)  # noqa: S108 (compared, not written)
    return {_SHM / name for name in names if name.startswith(("psm_", "sem.mp-"))}


def release(memory: set[Path]) -> None:
    """Unlink the shared memory of ended processes; those that still live keep their mapping."""
    for path in memory:
        path.unlink(missing_ok=True)


def end(folder: Path, group: int | None = None, grace_seconds: float = 5.0) -> int:
    """Send SIGTERM to every process of the run, then SIGKILL to what is left; returns how many there were.

    The set is looked up until it is empty, because a dying tree still starts processes. Shared memory is released,
    since a killed process does not release its own. Python's resource trackers, which release theirs after the others
    have ended, are killed last.
    """
    seen: set[int] = set()
    memory: set[Path] = set()
    deadline = time.monotonic() + grace_seconds
    while found := belonging(folder, group):
        late, last = (time.monotonic() > deadline + more for more in (0, _TRACKER_SECONDS))
        memory |= shared_memory(found)
        for pid in found if late else found - seen:
            # A tracker knows shared memory that is in no process's mappings.
            if last or not (late and b"multiprocessing.resource_tracker" in proc(pid, "cmdline")):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        seen |= found
        time.sleep(0.2)
        if time.monotonic() > deadline + 30:  # uninterruptible sleep: nothing more can be done from here
            break
    release(memory)
    return len(seen)


def proc(pid: int, name: str) -> bytes:
    """The content of /proc/`pid`/`name`; empty if the process has ended or is another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _table() -> Iterator[tuple[int, int, int]]:
    """(process, parent, group) of every live process; zombies are not live."""
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        # The name in parentheses may contain anything; the fields begin after the last parenthesis.
        if fields := proc(pid, "stat").rpartition(b")")[2].split()[:3]:
            state, parent, group = fields
            if state != b"Z":
                yield pid, int(parent), int(group)
