"""Publishing 20,000 rows with 100 kB pictures to a Hub on loopback: memory, and what a kill costs.

The pictures are small PNG files with random bytes behind their end, so that no two are alike. The real command
publishes them in a process of its own, once undisturbed and once killed by signal 9 when more than half has been sent,
after which the same command is run again, each to a server that holds nothing yet. That is done by the storage protocol
the clients prefer (xet) and by the older one (LFS); the worse number counts.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capcurriculum.run import Run

ROWS = 20_000
PICTURE_BYTES = 100_000
STAGES = ("perception", "visual")
TOKEN = "hf_write"
PATIENCE_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Server:
    """A Hub on loopback in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def received(self) -> int:
        """Bytes of contents that came so far, those of broken requests included."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, int] = json.loads(self.process.stdout.readline())
        return sum(size for path, size in found.items() if path.startswith("/lfs/p") or "/xorbs/" in path)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A new server; what it held is removed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hub_server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Server(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def a_run(folder: Path) -> Run:
    """A finished run of two stages with pictures; only its stage files and tables are left."""
    from tests.support import hub_runs

    run = hub_runs.build(folder, rows=ROWS // 2, side=96, size=PICTURE_BYTES, stages=STAGES)
    shutil.rmtree(folder / "docci")
    shutil.rmtree(folder / "visual")
    return run


def _publishing(run: Run, server: Server, home: Path, xet: bool) -> subprocess.Popen[bytes]:
    variables = {
        "HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "0" if xet else "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "capcurriculum.cli", "publish", str(run.path), "--namespace", "alice"]
    return subprocess.Popen(command, env=os.environ | variables)


def _finished(process: subprocess.Popen[bytes]) -> float:
    """Peak resident memory in MB of a process that ends well."""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"publish ended with status {status}")
    return usage.ru_maxrss / 1000


def undisturbed(run: Run, folder: Path, xet: bool) -> dict[str, float]:
    """Peak memory in MB, seconds, and bytes of contents that were sent."""
    with serving(folder / "server") as server:
        begun = time.perf_counter()
        peak = _finished(_publishing(run, server, folder / "home", xet))
        found = {"rss_mb": peak, "seconds": time.perf_counter() - begun, "bytes": server.received()}
    shutil.rmtree(folder / "home")
    return found


def resent(run: Run, folder: Path, xet: bool, once: float) -> float:
    """Bytes that were sent again after a kill, over those of the file that was being sent; `once` is all of a run."""
    sizes = [path.stat().st_size for name in STAGES for path in _sent_order(run, name)]
    with serving(folder / "server") as server:
        first = _publishing(run, server, folder / "home", xet)
        until = time.monotonic() + PATIENCE_SECONDS
        while server.received() < 0.55 * once and first.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        first.kill()
        first.wait()
        before = server.received()
        _finished(_publishing(run, server, folder / "home", xet))
        again = server.received() - once
    shutil.rmtree(folder / "home")
    interrupted = next(size for place, size in enumerate(sizes) if sum(sizes[: place + 1]) >= before)
    print(f"killed after {before / 1e6:.0f} MB, in a file of {interrupted / 1e6:.0f} MB; again {again / 1e6:.1f} MB")
    return again / interrupted


def _sent_order(run: Run, name: str) -> list[Path]:
    return sorted((run.stages / name).glob("*.parquet"))


@cache
def _measured() -> dict[str, float]:
    worst = {"rss_mb": 0.0, "resent": 0.0}
    with tempfile.TemporaryDirectory(prefix="publish-") as name:
        folder = Path(name)
        run = a_run(folder)
        for xet in (False, True):
            found = undisturbed(run, folder, xet)
            ratio = resent(run, folder, xet, found["bytes"])
            print(f"publish by {'xet' if xet else 'LFS'}: {found}, sent again {ratio:.3f}", file=sys.stderr)
            worst = {"rss_mb": max(worst["rss_mb"], found["rss_mb"]), "resent": max(worst["resent"], ratio)}
    return worst


def rss_mb() -> float:
    """Peak memory of the publishing process."""
    return _measured()["rss_mb"]


def resume_resent() -> float:
    """Bytes sent again after a kill over the bytes of the interrupted file."""
    return _measured()["resent"]
