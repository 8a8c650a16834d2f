"""Forks stand in for the processes of a CPU run: what these were started with is theirs, and they end together."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from training.on_verl import environment
from training.on_verl.patches import fork_server
from training.supervise import processes

WORKER = """
import json, os, sys, time
import imported_once
print(json.dumps([imported_once.PID, os.getpid(), sys.argv, os.environ.get("TOLD"), os.getcwd(), __name__]), flush=True)
if "wait" in sys.argv:
    time.sleep(60)
sys.exit(7)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A script where Ray has its worker's, and an environment whose processes know the modules beside it."""
    script = tmp_path / "ray" / "_private" / "workers" / "default_worker.py"
    script.parent.mkdir(parents=True)
    script.write_text(WORKER)
    (tmp_path / "imported_once.py").write_text("import os\nPID = os.getpid()\n")
    (tmp_path / "starts_a_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv(processes.MARKER, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([environment.path(), str(tmp_path)]))
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    yield script
    processes.end(tmp_path)


def asked(script: Path, *words: str, folder: Path = Path("/usr")) -> subprocess.CompletedProcess[str]:
    """The script run as Ray runs it, from a folder of its own and with a variable."""
    return subprocess.run(
        [sys.executable, str(script), *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"TOLD": "so"},
    )


def test_a_worker_is_a_fork_with_all_that_it_was_started_with(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fork_server.SOCKET, fork_server.start(["imported_once"]))
    found = asked(worker, "--one", "two words")
    imported, own, *rest = json.loads(found.stdout)
    assert found.returncode == 7, found.stderr
    assert imported != own  # the module knows the server's process
    assert rest == [[str(worker), "--one", "two words"], "so", "/usr", "__main__"]
    assert json.loads(asked(worker).stdout)[:2] != [imported, own]


def test_who_ends_a_stand_in_ends_the_fork(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fork_server.SOCKET, fork_server.start(["imported_once"]))
    process = subprocess.Popen([sys.executable, str(worker), "wait"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    fork = json.loads(process.stdout.readline())[1]
    assert fork != process.pid
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{fork}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{fork}").exists()


def test_a_stand_in_ends_with_its_fork(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fork_server.SOCKET, fork_server.start(["imported_once"]))
    process = subprocess.Popen([sys.executable, str(worker), "wait"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    os.kill(json.loads(process.stdout.readline())[1], signal.SIGKILL)
    assert process.wait(10) == 1


@pytest.mark.parametrize("modules", [["starts_a_thread"], ["no_such_module"]])
def test_a_server_that_cannot_fork_is_done_without(
    modules: list[str], worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fork_server.SOCKET, fork_server.start(modules))
    found = asked(worker)
    imported, own, *_ = json.loads(found.stdout)
    assert (found.returncode, imported) == (7, own)


def test_without_a_server_a_worker_is_itself(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fork_server.SOCKET, str(worker.parent / "nothing"))
    imported, own, *_ = json.loads(asked(worker).stdout)
    assert imported == own


def put(found: "SimpleQueue[tuple[int, int, bool]]", number: int) -> None:
    """What a spawned process knows."""
    import imported_once  # type: ignore[import-not-found]

    found.put((number, imported_once.PID, os.getpid() == imported_once.PID))


def test_a_spawned_process_is_a_fork_with_its_pipes(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fork_server.SOCKET, fork_server.start(["imported_once"]))
    spawn = multiprocessing.get_context("spawn")
    found = spawn.SimpleQueue()
    for number in range(2):
        process = spawn.Process(target=put, args=(found, number))
        process.start()
        told, _, alone = found.get()
        process.join()
        assert (told, alone, process.exitcode) == (number, False, 0)


def test_a_folder_that_can_hold_no_socket_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    monkeypatch.delenv(fork_server.SOCKET, raising=False)
    fork_server.take_part(["python", "-m", "verl.trainer.main_ppo"])
    assert fork_server.SOCKET not in os.environ


def test_others_cannot_reach_the_socket(worker: Path) -> None:
    folder = Path(fork_server.start([])).parent
    assert folder.stat().st_mode & 0o077 == 0
