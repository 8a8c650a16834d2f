"""The shim survives being asked for more than once, in any order."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_looking_for_torchvision_before_importing_it_declares_its_operators_once() -> None:
    code = (
        "import importlib.util\n"
        "from capcurriculum.torchvision_shim import ensure_torchvision\n"
        "import sys\n"
        "ensure_torchvision(); assert importlib.util.find_spec('torchvision')\n"
        "assert 'torch' not in sys.modules  # looking is not importing\n"
        "ensure_torchvision(); import torchvision.transforms\n"
        "assert torchvision.__spec__.loader is torchvision.__loader__\n"
        "ensure_torchvision()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
