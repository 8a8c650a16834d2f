"""Worker processes for real: one that dies is said, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from capcurriculum.errors import TrainerError
from datagen import micro
from tests.support.preflight_data import seeing, settings, write
from training.preflight.rows.pool import Pools, slices

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
pytest.importorskip("torch")

SCRIPT = """
import os, signal, sys
from pathlib import Path
import psutil
from datagen import micro
from tests.support.preflight_data import settings
from training.preflight.rows.pool import Pools, slices
with Pools(Path(sys.argv[2]), 2) as pools:
    parts = slices([Path(sys.argv[1])], [True])
    list(pools.of(settings(micro.checkpoint("start"), {})).each("seen", [(part, 512, False) for part in parts], 900))
    print(*[child.pid for child in psutil.Process().children(recursive=True)], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_dies_is_said_and_does_not_hang(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number) for number in range(8)])
    (part, *_) = slices(files.train, [True])
    with Pools(tmp_path / "cache", 1) as pools:
        pool = pools.of(settings(micro.checkpoint("start"), {}))
        seen, _ = pool.one("seen", part, 512, False)
        assert (len(seen.tokens), seen.checked) == (4, 4)
        for child in psutil.Process().children():
            if "multiprocessing" in " ".join(child.cmdline()) and "resource_tracker" not in " ".join(child.cmdline()):
                child.kill()
        with pytest.raises(TrainerError, match=r"process that reads the rows died.*preflight\.processes"):
            pool.one("seen", part, 512, False)


def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number) for number in range(8)])
    command = [sys.executable, "-c", SCRIPT, str(files.train[0]), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    for _ in range(300):
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived its parent")
