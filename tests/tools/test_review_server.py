"""`make review-server`: what it starts, what it says, and that nothing of it stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.argilla_server import running
from tools import review_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_closed_terminal_ends_everything_and_records_outlive_it(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:  # also makes the environment, or skips
        login, pids = server.login, server.pids
        assert server.url.startswith("http://127.0.0.1:")
    assert not any(_alive(pid) for pid in pids)
    script = (
        "import sys; from pathlib import Path; from tools import review_server as r\n"
        "named = sys.argv.pop(1)\n"
        "r.installed = (lambda: Path(named)) if named else r.installed\n"
        "raise SystemExit(r.main())"
    )
    port = review_server._free()
    words = [os.environ.get("REVIEW_SERVER_PYTHON", ""), "--home", str(tmp_path / "home"), "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(7)]
    printed = "".join(said)
    assert f"Argilla is at http://127.0.0.1:{port}" in printed
    assert "for trying out" in printed
    assert login.password in printed  # the same account as before
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/me", headers={"X-Argilla-Api-Key": login.api_key})
    assert json.load(urllib.request.urlopen(asked, timeout=60))["username"] == login.username
    own = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()
    assert len(own) == 3
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    end = time.monotonic() + 20
    while any(_alive(int(pid)) for pid in own) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(_alive(int(pid)) for pid in own)
    assert (tmp_path / "home" / "login.json").stat().st_mode & 0o077 == 0


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0]
    except OSError:
        return False


def test_whatever_ends_it_leaves_no_process_and_its_files_are_private(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        pids = server.pids
    assert not any(_alive(pid) for pid in pids)
    (tmp_path / "home" / "old.txt").touch(0o644)
    script = (
        "import sys; from pathlib import Path; from tools import review_server as r\n"
        "named = sys.argv.pop(1)\n"
        "r.installed = (lambda: Path(named)) if named else r.installed\n"
        "raise SystemExit(r.main())"
    )
    words = [os.environ.get("REVIEW_SERVER_PYTHON", ""), "--home", str(tmp_path / "home"), "--port"]
    for number, code, after in ((signal.SIGTERM, 0, 7), (signal.SIGINT, 0, 0), (signal.SIGKILL, -9, 7)):
        port = str(review_server._free())
        process = subprocess.Popen([sys.executable, "-c", script, *words, port], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(after):  # 0: while its parts still start
            process.stdout.readline()
        own = _children(process.pid, 3 if after else 1)
        process.send_signal(number)
        process.send_signal(number)  # an impatient second one
        assert process.wait(60) == code
        process.stdout.close()
        end = time.monotonic() + 20
        while any(_alive(pid) for pid in own) and time.monotonic() < end:
            time.sleep(0.1)
        assert not any(_alive(pid) for pid in own), number
    wide = [path for path in (tmp_path / "home").rglob("*") if path.stat().st_mode & 0o077]
    assert wide == []
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def _children(parent: int, least: int) -> list[int]:
    """The processes that it started, once there are so many."""
    while True:
        told = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()
        if len(told) >= least:
            return [int(pid) for pid in told]
        time.sleep(0.05)
