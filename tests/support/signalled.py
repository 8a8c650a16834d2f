"""Processes of the command line that are told to end while they work, and what may then be left: nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from capcurriculum.cli.app import verbs
from capcurriculum.trust.child_environment import PASSED_ON

#: In the environment of a command and of everything that it starts.
MARK = "SIGTERM_TEST"


def command(words: list[str], mark: str, code: str = "", **variables: str) -> "subprocess.Popen[str]":
    """The command line in a process of its own, or a program that calls it."""
    program = ["-c", code] if code else ["-m", "capcurriculum.cli"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", MARK: mark, PASSED_ON: MARK} | variables
    return subprocess.Popen(
        [sys.executable, *program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def done(words: list[str], **variables: str) -> str:
    """What a command that goes on to its end prints."""
    out, err = (process := command(words, "", **variables)).communicate(timeout=240)
    assert process.returncode == 0, err
    return out + err


def left(mark: str) -> list[int]:
    """The living processes that bear the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marked = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if marked and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def at_work(process: "subprocess.Popen[str]", is_at_work: Callable[[], bool]) -> None:
    """Wait until it is."""
    end = time.monotonic() + 500
    while not is_at_work():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(process: "subprocess.Popen[str]", mark: str, code: int = 128 + signal.SIGTERM) -> None:
    """It ended as it should, after the signal that `code` tells of."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
    assert err.count("Stopped. Everything finished so far is kept") == 1
    assert "Traceback" not in out + err
    end = time.monotonic() + 20
    while (still := left(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    assert still == []


def half_written(folder: Path) -> list[Path]:
    """What bears a name that only unfinished files and folders have."""
    return [path for path in folder.rglob(".*") if path.name.startswith(".tmp-") or path.name.endswith(".partial")]


def every_verb() -> list[str]:
    """The names of all verbs, with those of their tasks."""
    return [f"{name} {task}".strip() for name in verbs() for task in verbs(name) or [""]]
