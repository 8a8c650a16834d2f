"""Dump the stacks of a trainer's Python processes before a hanging trainer is ended.

Each process registers `faulthandler` for SIGUSR2 when it starts (`bootstrap/sitecustomize.py`), with its own file in
the run's scratch folder. The handler writes the stack of every thread, even of one stuck in native code, without a
debugger or ptrace. Processes without such a file, Ray's native ones, are only listed.
"""

import faulthandler
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from training.supervise.processes import proc

#: Environment variable with the folder of the stack files.
FOLDER = "CAPCURRICULUM_STACKS"
_SIGNAL = signal.SIGUSR2
_SECONDS = 3.0  # that a process may take to write
_COMMAND = 160  # characters shown of a command line


def register() -> None:
    """Register the handler in this process; does nothing outside a trainer's run."""
    folder = os.environ.get(FOLDER, "")
    if folder and Path(folder).is_dir():
        # Open for the life of the process, unbuffered: the handler writes to the descriptor.
        file = open(Path(folder, str(os.getpid())), "ab", buffering=0)  # noqa: SIM115
        faulthandler.register(_SIGNAL, file=file, all_threads=True)


def dump(folder: Path, pids: Iterable[int]) -> str:
    """The stacks of the processes as text, each below its process id, state and command line."""
    listed = sorted(pids)
    signalled = [pid for pid in listed if _handles(folder, pid)]
    for pid in signalled:
        with suppress(ProcessLookupError):
            os.kill(pid, _SIGNAL)
    _wait_for(folder, signalled)
    parts = []
    for pid in listed:
        stack = _read(folder, pid) if pid in signalled else "no Python stack: the process has no handler"
        state = proc(pid, "stat").rpartition(b")")[2].split()[:1] or [b"ended"]
        command = proc(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()[:_COMMAND]
        parts.append(f"== {pid} ({state[0].decode()}) {command}\n{stack.strip() or 'it wrote nothing'}\n")
    return "\n".join(parts)


def _handles(folder: Path, pid: int) -> bool:
    """Whether the process has a file and a handler; without one the signal would end it."""
    if not (folder / str(pid)).is_file():
        return False
    caught = next((line[7:] for line in proc(pid, "status").splitlines() if line.startswith(b"SigCgt:")), b"0")
    return bool(int(caught, 16) >> (_SIGNAL - 1) & 1)


def _wait_for(folder: Path, pids: list[int]) -> None:
    """Wait until every file has content and none grows, or the time is up."""
    deadline, before = time.monotonic() + _SECONDS, -1
    while time.monotonic() < deadline:
        sizes = [len(_read(folder, pid)) for pid in pids]
        if all(sizes) and sum(sizes) == before:
            return
        before = sum(sizes)
        time.sleep(0.2)


def _read(folder: Path, pid: int) -> str:
    try:
        return (folder / str(pid)).read_text(errors="replace")
    except OSError:
        return ""
