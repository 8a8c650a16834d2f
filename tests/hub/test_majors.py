"""Publishing and downloading with the major of `huggingface_hub` that the trainer does not allow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

NEWER = Path(sys.prefix) / "hub2"
TESTS = [
    *(f"hub/test_{name}.py" for name in ("publish", "publish_model", "download", "download_release", "trouble")),
    "datagen/sources/images/test_download.py",
]

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_the_hubs_tests_pass_with_the_newer_client() -> None:
    if not NEWER.is_dir():
        pytest.skip(f"{NEWER} is not there; `make install` makes it")
    path = os.pathsep.join(filter(None, [str(NEWER), os.environ.get("PYTHONPATH")]))

    def call(*arguments: str) -> str:
        settings = os.environ | {"PYTHONPATH": path}
        done = subprocess.run([sys.executable, *arguments], env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    assert call("-c", "import huggingface_hub as hub; print(hub.__version__)").startswith("2.")
    files = [str(ROOT / "tests" / name) for name in TESTS]
    assert " passed" in call("-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *files)
