"""Faults that a test injects: which requests they meet, how often, and what then goes wrong."""

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

#: `status`: an error answer. `drop`: no answer. `cut`: the connection breaks in the middle of the body that is sent or
#: received. `lost`: the request is served, and its answer is lost. `slow`: its body is taken slowly.
Kind = Literal["status", "drop", "cut", "lost", "slow"]


@dataclass(slots=True)
class Fault:
    """Met by requests whose `METHOD path` matches `pattern`, after the first `skip` of them, `times` times."""

    pattern: str
    kind: Kind = "status"
    status: int = 500
    times: int = 1
    skip: int = 0
    message: str = "injected fault"
    headers: dict[str, str] = field(default_factory=dict)
    met: int = 0


@dataclass(slots=True)
class Faults:
    """The faults that are still to come, and every request as `METHOD path status`."""

    waiting: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    #: Bytes of request bodies by path, those of broken requests included.
    received: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any."""
        with self.lock:
            for fault in self.waiting:
                if fault.times > 0 and re.search(fault.pattern, f"{method} {path}"):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    fault.met += 1
                    return fault
        return None

    def note(self, line: str) -> None:
        with self.lock:
            self.log.append(line)

    def count(self, path: str, size: int) -> None:
        with self.lock:
            self.received[path] = self.received.get(path, 0) + size

    def clear(self) -> None:
        """Forget all."""
        with self.lock:
            self.waiting, self.log, self.received = [], [], {}
