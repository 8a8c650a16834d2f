"""The commands that `make` would run: a shell can read them, and they say what they should."""

import subprocess

import pytest

from tests.support import ROOT


def dry(*arguments: str) -> str:
    """What `make` would run, after bash has read it without running it."""
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    subprocess.run(["bash", "-n"], input=done.stdout, check=True, text=True)
    return done.stdout


# Not `test`: make runs a line that calls make even where it should only print it.
@pytest.mark.parametrize(
    "target", ["install", "demo", "check", "bench", "clean", "lock", "review-server", "test-eval", "test-engines"]
)
def test_a_shell_can_read_what_a_target_runs(target: str) -> None:
    assert dry(target, "VENV=.venv").strip()


def test_only_the_quick_demo_says_that_it_is_too_short_to_teach() -> None:
    teaching = dry("demo")
    assert "demo.yaml" in teaching
    assert "too few" not in teaching
    quick = dry("demo", "QUICK=1")
    assert "demo_quick.yaml" in quick
    assert "too few" in quick
