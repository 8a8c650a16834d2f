"""Measurements that need a process of their own: what a module prints as its last line, read as JSON."""

import json
import os
import subprocess
import sys
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
