"""Read the trainer's growing files, and keep one `metrics.jsonl` for a stage over all its attempts.

verl starts its metrics file afresh on every attempt and repeats the steps after its last checkpoint; here each step
stands once, as the attempt that counts wrote it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Tail:
    """Whole lines appended to a file since the last look; the file need not exist yet."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self.path = path
        self._at = start
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines completed since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return []
        self._at += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def records(self) -> list[dict[str, Any]]:
        """The new lines of a file of JSON objects."""
        return [json.loads(line) for line in self.lines() if line.strip()]


def begin(path: Path, last_step: int) -> None:
    """Forget the steps that an attempt resuming after `last_step` is going to repeat."""
    kept = [record for record in Tail(path).records() if record["step"] <= last_step]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")


def append(path: Path, step: Mapping[str, Any]) -> None:
    """Add one step as verl wrote it: `{"step": n, "data": {...}}` becomes one flat object."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step["step"], **step["data"]}) + "\n")
