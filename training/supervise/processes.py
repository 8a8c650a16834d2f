"""Find and end every process of a trainer, also those that left its process group.

Ray and vLLM start process trees that outlive a killed parent, change sessions and rename themselves (which can destroy
the environment that /proc shows). So a process counts as ours by any of three signs: the group of the trainer, the
marker in its environment, or a parent that is ours. Linux only, like the trainer; nothing else is ever signalled.
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
#: What a resource tracker may take once all others are gone.
_TRACKER_SECONDS = 3.0
_SHM = Path("/dev/shm")  # noqa: S108


def die_with_parent() -> None:
    """For a child between fork and exec: be killed when the parent dies, however it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def importable(folder: Path) -> str:
    """What Python would import from a working directory, before any library of the same name; "" if there is nothing.

    Such a folder may be part of a run that somebody else made.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in (".py", ".pyc", ".so") or (path / "__init__.py").exists():
            return path.name
    return ""


def belonging(folder: Path, group: int | None = None) -> set[int]:
    """Process ids of the run of `folder`, by marker, by process `group` and by descent."""
    sign = f"{MARKER}={folder}".encode()
    parents = {pid: (parent, of_group) for pid, parent, of_group in _table()}
    ours = {pid for pid, (_, of_group) in parents.items() if of_group == group or sign in _environment(pid)}
    grew = True
    while grew:
        children = {pid for pid, (parent, _) in parents.items() if parent in ours and pid not in ours}
        ours |= children
        grew = bool(children)
    return ours - {os.getpid()}


def shared_memory(pids: set[int]) -> set[Path]:
    """Named shared memory that the processes map; killed processes (Ray kills its actors) leave it in RAM for good."""
    named: set[Path] = set()
    for pid in pids:
        with suppress(OSError):  # it ended while we looked
            maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
            found = (line.partition("/dev/shm/")[2] for line in maps.splitlines())  # noqa: S108 (named, not written)
            named |= {_SHM / name for name in found if name.startswith(("psm_", "sem.mp-"))}
    return named


def release(memory: set[Path]) -> None:
    """Remove shared memory of processes that are gone; what still lives keeps its mapping."""
    for path in memory:
        path.unlink(missing_ok=True)


def end(folder: Path, group: int | None = None, grace_seconds: float = 5.0) -> int:
    """Ask every process of the run to end, then kill what is left; returns how many there were.

    The set is looked up again until it is empty: a dying tree still starts processes. Their shared memory is released,
    which one that is killed cannot do; Python's resource trackers, which outlive the others to release theirs, are
    killed last.
    """
    seen: set[int] = set()
    memory: set[Path] = set()
    deadline = time.monotonic() + grace_seconds
    while ours := belonging(folder, group):
        late, last = (time.monotonic() > deadline + more for more in (0, _TRACKER_SECONDS))
        memory |= shared_memory(ours)
        for pid in ours if late else ours - seen:
            if last or not (late and _is_tracker(pid)):
                _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        seen |= ours
        time.sleep(0.2)
        if time.monotonic() > deadline + 30:  # uninterruptible sleep: nothing more can be done from here
            break
    release(memory)
    return len(seen)


def _is_tracker(pid: int) -> bool:
    """Whether it only waits for the others' end. It knows names in shared memory that no list of mappings shows."""
    with suppress(OSError):  # it ended by itself
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, number)


def _table() -> Iterator[tuple[int, int, int]]:
    """(process, parent, group) of every live process; zombies are not live."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name in parentheses may hold anything; the fields begin after the last one.
            state, parent, group = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it ended while we looked
        if state != "Z":
            yield int(entry.name), int(parent), int(group)


def _environment(pid: int) -> frozenset[bytes]:
    try:
        return frozenset(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return frozenset()  # another user's process, or one that just ended
