"""A trainer's process tree as it is started: its command, its folder, and how long it may be silent."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.canary import record as canary

#: Below a job's scratch folder: where its processes write their stacks.
STACKS = "stacks"


@dataclass(frozen=True, slots=True)
class Job:
    """What to run and where its traces go; `folder` is absolute and is the job's working directory.

    `stall_seconds` is how long it may print nothing, `step_seconds` how long a step may take, the first one's start
    included. `on_step` gets each step's metrics as verl wrote them, `on_look` each look of the pixel canary.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stall_seconds: float
    step_seconds: float = float("inf")
    on_step: Callable[[Mapping[str, Any]], None] = lambda step: None
    on_look: Callable[[Mapping[str, Any]], None] = lambda look: None

    def reporting(self, on_step: Callable[[Mapping[str, Any]], None]) -> "Job":
        """The same job with another `on_step`."""
        return dataclasses.replace(self, on_step=on_step)

    @property
    def log(self) -> Path:
        """All that every attempt printed."""
        return self.folder / "verl.log"

    @property
    def trainer_metrics(self) -> Path:
        """verl's own metrics file, which it starts afresh on every attempt."""
        return self.folder / "verl-metrics.jsonl"

    @property
    def looks(self) -> Path:
        """What the pixel canary found, of every attempt; the trainer appends to it."""
        return self.folder / canary.FILE

    @property
    def stacks(self) -> Path:
        """Where every process stood when the last attempt that stalled was ended."""
        return self.folder / "stacks.txt"


def scratch(folder: Path) -> Path:
    """The temporary folder of the run of `folder`, always the same; short, for Ray's socket paths end at 107 bytes."""
    name = hashlib.sha256(f"{os.getuid()}:{folder}".encode()).hexdigest()[:10]
    return Path("/tmp") / f"cc-{name}"  # noqa: S108 (short on purpose, and ours alone: made with mode 0700)
