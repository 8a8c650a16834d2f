"""`tools/install.sh` with a pip that only writes down what it is asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PIP = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *{fails}*) exit 1 ;; esac
"""


def installed(
    tmp_path: Path, *, fails: str = "nothing", loads: bool = True, **variables: str
) -> tuple[int, str, list[str]]:
    """(exit code, what was said, what pip was asked for) of an install for GPUs."""
    venv, log = tmp_path / "venv", tmp_path / "pip.log"
    (venv / "bin").mkdir(parents=True)
    python = f"#!/bin/sh\nexit {0 if loads else 1}\n"
    for name, text in (("pip", PIP.format(log=log, fails=fails)), ("python", python), ("capcurriculum", "#!/bin/sh\n")):
        (venv / "bin" / name).write_text(text)
        (venv / "bin" / name).chmod(0o755)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [ROOT / "tools" / "install.sh", str(venv)],
        env={"PATH": path, "HOME": os.environ["HOME"], "GPU": "1", "PYTHON": sys.executable, **variables},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr, log.read_text().splitlines()


def test_flash_attention_comes_from_verls_own_index(tmp_path: Path) -> None:
    code, said, asked = installed(tmp_path)
    assert code == 0
    (line,) = [one for one in asked if "flash-attn" in one]
    assert "--only-binary :all:" in line
    assert "--no-deps" in line
    assert "--index-url https://verl-project.github.io/verl-wheelhouse/simple/ flash-attn==2.8.3" in line
    assert "flash-attn 2.8.3, a wheel of https://verl-project.github.io" in said


@pytest.mark.parametrize(("fails", "choice"), [("verl-wheelhouse", {}), ("nothing", {"FLASH_ATTN": "build"})])
def test_it_is_built_where_there_is_no_wheel_and_that_is_said(
    tmp_path: Path, fails: str, choice: dict[str, str]
) -> None:
    compiler = tmp_path / "cuda" / "bin" / "nvcc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    code, said, asked = installed(tmp_path, fails=fails, CUDA_HOME=str(tmp_path / "cuda"), **choice)
    assert code == 0
    assert "--no-deps --no-build-isolation --no-binary flash-attn flash-attn==2.8.3" in asked[-2]
    assert f"built with {compiler} from PyPI's source" in said


def test_without_a_compiler_it_says_what_can_be_done(tmp_path: Path) -> None:
    code, said, _ = installed(tmp_path, fails="verl-wheelhouse", CUDA_HOME=str(tmp_path))
    assert code != 0
    assert "no nvcc (CUDA_HOME/bin or PATH). Install the CUDA 13 toolkit, take Python 3.12, or name a wheel" in said


def test_another_one_can_be_named(tmp_path: Path) -> None:
    wheel = "https://example.org/flash_attn-2.8.3+cu130torch2.11-cp311-cp311-linux_x86_64.whl"
    code, said, asked = installed(tmp_path, FLASH_ATTN=wheel)
    assert code == 0
    assert f"install -qq --no-deps --no-build-isolation {wheel}" in asked
    assert f"as FLASH_ATTN says: {wheel}" in said


def test_one_that_does_not_load_is_not_called_installed(tmp_path: Path) -> None:
    code, said, _ = installed(tmp_path, loads=False)
    assert code != 0
    assert "flash-attn does not load beside this torch; name another" in said
