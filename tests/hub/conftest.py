"""What the tests of publishing share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hub_runs
from tests.support.hub_server import Served, serving


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A Hub of the test's own, which this process takes for the real one."""
    with serving(tmp_path / "server") as server:
        hub_runs.connect(monkeypatch, server, tmp_path / "home")
        yield server
