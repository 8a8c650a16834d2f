"""What the supervisor runs: a command, its folder and its time limits."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.canary import record as canary

#: Below a job's scratch folder: the stack dumps of its processes.
STACKS = "stacks"


@dataclass(frozen=True, slots=True)
class Job:
    """A trainer's process tree; `folder` is absolute, holds its output and is its working directory.

    `stall_seconds` limits the time without output, `step_seconds` the time per step (of the first, with the start).
    `on_step` gets each step's metrics as verl wrote them, `on_look` each record of the pixel canary.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stall_seconds: float
    step_seconds: float = float("inf")
    on_step: Callable[[Mapping[str, Any]], None] = lambda step: None
    on_look: Callable[[Mapping[str, Any]], None] = lambda look: None

    @property
    def log(self) -> Path:
        """The output of all attempts."""
        return self.folder / "verl.log"

    @property
    def trainer_metrics(self) -> Path:
        """verl's own metrics file, which it truncates on every attempt."""
        return self.folder / "verl-metrics.jsonl"

    @property
    def looks(self) -> Path:
        """The pixel canary's records of all attempts; the trainer appends to it."""
        return self.folder / canary.FILE

    @property
    def stacks(self) -> Path:
        """The stack dumps of the last attempt that stalled."""
        return self.folder / "stacks.txt"


def scratch(folder: Path) -> Path:
    """The temporary folder of a job's `folder`, always the same; short, because Ray's socket paths end at 107 bytes."""
    name = hashlib.sha256(f"{os.getuid()}:{folder}".encode()).hexdigest()[:10]
    return Path("/tmp") / f"cc-{name}"  # noqa: S108 (private: made with mode 0700)
