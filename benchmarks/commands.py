"""How long a user waits before anything happens."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 10


def help_seconds() -> float:
    """Median wall time of `capcurriculum --help`."""
    command = Path(sys.executable).with_name("capcurriculum")
    return _median([str(command), "--help"])


def import_seconds() -> float:
    """Median wall time of a Python that imports the command line, start-up included."""
    return _median([sys.executable, "-c", "import capcurriculum.cli"])


def _median(command: list[str]) -> float:
    return statistics.median(_seconds(command) for _ in range(REPEATS))


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
