"""`tools/gpu_check.sh`: what its table and its exit code say; its parts on a CPU."""

import sys
from pathlib import Path

import pytest

from tools import gpu_check
from tools.gpu_check import CheckError, Here


def good(here: Here) -> str:
    return "all is well"


def bad(here: Here) -> str:
    raise CheckError("the GPU is on fire")


def test_one_failure_is_said_and_the_others_are_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_check, "CHECKS", (bad, good))
    assert gpu_check.main(["--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "the GPU is on fire" in said
    assert "all is well" in said
    assert "1 of 2 failed." in said
    monkeypatch.setattr(gpu_check, "CHECKS", (good,))
    assert gpu_check.main(["--folder", str(tmp_path)]) == 0
    assert "All 1 passed." in capsys.readouterr().out


def test_a_command_that_fails_says_its_last_error_and_keeps_all_it_said(tmp_path: Path) -> None:
    here = Here(tmp_path, "cpu")
    with pytest.raises(CheckError, match=r"ValueError: no; see .*broken.log"):
        here.run("broken", sys.executable, "-c", "print('before'); raise ValueError('no')")
    assert (tmp_path / "broken.log").read_text().startswith("before")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_random_model_gives_the_same_log_probabilities_under_two_attentions(tmp_path: Path) -> None:
    assert "log-probabilities differ by 0.0" in gpu_check.attention(Here(tmp_path, "cpu"))
    assert (tmp_path / "random" / "model.safetensors").is_file()
