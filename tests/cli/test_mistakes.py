"""What is typed wrongly: one sentence with what was probably meant, exit code 2, and nothing on standard output."""

from pathlib import Path

import pytest

from capcurriculum import cli

SAID = {
    "": "capcurriculum needs one of allow, audit, build, card,",
    "review": "capcurriculum review needs one of export, import, pull, push, status; see",
    "buidl x": "capcurriculum has no verb 'buidl' (did you mean build?); see `capcurriculum --help`.",
    "review pul x": "capcurriculum review has no verb 'pul' (did you mean pull?); see `capcurriculum review --help`.",
    "--versoin": "capcurriculum has no option '--versoin'; see `capcurriculum --help`.",
    "train x --dry": "capcurriculum train has no option --dry (did you mean --dry-run?);",
    "train x --bakcbone=y": "capcurriculum train has no option --bakcbone=y (did you mean --backbone?);",
    "train": "capcurriculum train needs RECIPE; see `capcurriculum train --help`.",
    "train x --stage": "--stage needs a value; see `capcurriculum train --help`.",
    "train x y": "'y' is one argument too many; see `capcurriculum train --help`.",
    "train x --engine vrl": "--engine: 'vrl' is none of verl, easyr1 (did you mean verl?); see",
    "evaluate x --suite y --engine none": "--engine: 'none' is none of own, vlmevalkit, lmms-eval; see",
    "train x --dry-run=maybe": "--dry-run: 'maybe' is not yes or no; see",
    "build --ray auto x": "--ray takes at most 1 value; give it after the other arguments; see",
    "report x --rows 0": "--rows: '0' is not a whole number from 1 on; see",
    "serve x --port 80.5": "--port: '80.5' is not a whole number; see",
    "serve x --gpu-memory nan": "--gpu-memory: 'nan' is not a number above 0 and up to 1; see",
    "download x --val few": "--val: 'few' is not a number; see",
    "errors x --check": "--check needs a value; see",
    "curriculum x": "capcurriculum curriculum needs --order; see",
    "evaluate --suite main": "capcurriculum evaluate needs MODEL; see",
    "status \x1b[2J -\x1b]0;x": "capcurriculum status has no option -\\x1b]0;x; see",
}


@pytest.mark.parametrize("words", SAID)
def test_a_mistake_is_named_in_one_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {SAID[words]}")
    assert err.endswith("--help`.\n")
    assert err.count("\n") == 1


def test_an_option_that_stands_twice_counts_as_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "no-such-run", "--rows", "0", "--rows", "5"]) == 2
    assert "There is no run" in capsys.readouterr().err


def test_completion_is_installed_for_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["--install-completion", "--shell", "bash"]) == 0
    file = tmp_path / ".local/share/bash-completion/completions/capcurriculum"
    assert str(file) in capsys.readouterr().out
    assert "--backbone" in file.read_text(encoding="utf-8")
    assert str(file) in (tmp_path / ".bashrc").read_text(encoding="utf-8")
    monkeypatch.setenv("HOME", "/proc")
    assert cli.main(["--install-completion", "--shell", "bash"]) == 2
    assert capsys.readouterr().err.startswith("error: Completion cannot be installed")
