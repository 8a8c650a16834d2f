"""Measurements that need a process of their own: what a module prints as its last line, read as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def answer_of(module: str, *arguments: str) -> Any:
    """The JSON of the last line that `python -m module` prints.

    Raises:
        RuntimeError: it failed; the end of what it said is in the message.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peak_mb() -> float:
    """Peak resident memory in MB of this process alone.

    `getrusage` will not do: a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6
