"""Where every Python process of a trainer stands, written down before a trainer that hangs is ended.

Each process registers `faulthandler` when it starts (`bootstrap/sitecustomize.py`), with a file of its own below the
run's scratch folder. A signal then makes it write the stack of every thread, even one that is stuck in native code,
with no debugger, no ptrace and no help from the program. Processes without such a file, Ray's native ones, are only
named.
"""

import faulthandler
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: Environment variable with the folder of the stack files.
FOLDER = "CAPCURRICULUM_STACKS"
_SIGNAL = signal.SIGUSR2
_SECONDS = 3.0  # that a process may take to write
_COMMAND = 160  # characters shown of a command line


def register() -> None:
    """Make this process write its stacks when it is told to; does nothing outside a trainer's run."""
    folder = os.environ.get(FOLDER, "")
    if Path(folder).is_dir() and folder:
        # Open for the life of the process, unbuffered: the handler writes to the descriptor.
        file = open(Path(folder, str(os.getpid())), "ab", buffering=0)  # noqa: SIM115
        faulthandler.register(_SIGNAL, file=file, all_threads=True)


def dump(folder: Path, pids: Iterable[int]) -> str:
    """The stacks of the processes as text, each under its process id, state and command line."""
    listed = sorted(pids)
    told = [pid for pid in listed if _listens(folder, pid)]
    for pid in told:
        with suppress(ProcessLookupError):  # it ended by itself
            os.kill(pid, _SIGNAL)
    _wait_for(folder, told)
    parts = []
    for pid in listed:
        said = _read(folder, pid) if pid in told else "no Python stack: not a process that was told to write one"
        parts.append(f"== {pid} ({_state(pid)}) {_command(pid)}\n{said.strip() or 'it wrote nothing'}\n")
    return "\n".join(parts)


def _listens(folder: Path, pid: int) -> bool:
    """Whether the process has a file and catches the signal, which would end it otherwise."""
    if not (folder / str(pid)).is_file():
        return False
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (_SIGNAL - 1) & 1)


def _wait_for(folder: Path, pids: list[int]) -> None:
    """Until every file has something in it and none grows any more, or the time is up."""
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


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "ended"


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace").strip()[:_COMMAND]
