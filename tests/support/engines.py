"""What the tests of other trainers share."""

import pytest

from benchmarks.engines import ENGINES


def needs(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a file of tests that run in the environment of this engine."""
    engine = ENGINES[name]
    missing = f"{engine.name} is not installed here; `make engine-venvs` does it"
    return [
        pytest.mark.slow,
        pytest.mark.timeout(600),
        pytest.mark.skipif(not engine.installed(), reason=missing),
    ]
