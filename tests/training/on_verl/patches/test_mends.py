"""What verl 0.9.1 gets wrong of our backbones, seen without the mend and gone with it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tiny_models
from tests.support.installed import needs
from training.on_verl import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
needs("verl", extra="train")


def told(part: str, checkpoint: Path, how: str) -> str:
    """The last line that a part of `mends_check` prints, or the last of its error."""
    command = [sys.executable, "-m", "tests.support.mends_check", part, str(checkpoint), how]
    done = subprocess.run(command, env=environment.trainer_environment("cpu"), capture_output=True, text=True)
    return (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize("make", [tiny_models.qwen3_vl, tiny_models.qwen3_5], ids=lambda one: one.__name__)
def test_the_output_layer_learns_from_the_sequences_of_all_gpus(make: Callable[[Path], Path], tmp_path: Path) -> None:
    checkpoint = make(tmp_path / "model")
    assert float(told("head", checkpoint, "plain")) > 0.5  # each GPU's part knows its own sequences alone
    assert float(told("head", checkpoint, "mended")) < 1e-5


def test_a_batch_without_pictures_passes_through_qwen2_5_vl(tmp_path: Path) -> None:
    checkpoint = tiny_models.qwen2_5_vl(tmp_path / "model")
    assert told("head", checkpoint, "plain").endswith("has no attribute 'mean'")
    assert float(told("head", checkpoint, "mended")) < 1e-5


def test_no_state_goes_over_from_one_sequence_of_a_pass_to_the_next(tmp_path: Path) -> None:
    checkpoint = tiny_models.qwen3_5(tmp_path / "model")
    assert float(told("packed", checkpoint, "plain")) > 1e-3
    assert float(told("packed", checkpoint, "mended")) < 1e-4
