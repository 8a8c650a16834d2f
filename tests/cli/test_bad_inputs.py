"""Every case of the corpus comes out as it says: a sentence, its exit code, no traceback, nothing silent."""

from pathlib import Path

import pytest

from tests.cli.bad_inputs import corpus

CASES = corpus.cases()


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_comes_out_as_its_case_says(name: str, tmp_path: Path) -> None:
    found = corpus.attempt(CASES[name], tmp_path)
    assert found.fault in ("", "hang"), f"{found.fault}: exit code {found.code}\n{found.printed}"
    assert found.code != 124, found.printed  # how long it took on a busy machine is the benchmark's to say
