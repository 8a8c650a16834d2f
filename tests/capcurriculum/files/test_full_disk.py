"""A disk that is really full: every build that finds it so ends with one sentence, and the next one goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FULL = "the disk is full; make room and run the same command again."


def mounted(options: str, mount: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a mount namespace of its own, where a small file system lies at `mount`."""
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", options, str(mount), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    path = tmp_path / "mount"
    path.mkdir()
    try:
        allowed = mounted("size=64k", path, "true").returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("a file system may not be mounted here")
    return path


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "words"), [("size=512k", ["16384"]), ("size=8m,nr_inodes=150", ["4", "INODES"])], ids=["bytes", "files"]
)
def test_a_build_goes_on_where_the_disk_was_full(mount: Path, tmp_path: Path, options: str, words: list[str]) -> None:
    done = mounted(options, mount, sys.executable, "-m", "tests.support.full_disk", str(mount), str(tmp_path), *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    *full, last = told["codes"]
    assert last == 0
    assert len(full) > 5
    assert set(full) == {2}
    for said in told["said"][:-1]:
        assert "Traceback" not in said
        (error,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert error.startswith("error: Nothing more can be written")
        assert error.endswith(FULL)
        assert said.endswith(error + "\n")
    assert (told["same"], told["left"], told["again"], told["verified"]) == (True, [], 0, 0)
