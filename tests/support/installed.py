"""Skips where a library is not installed, without the seconds that it takes to import one."""

from importlib.util import find_spec

import pytest


def needs(*names: str, extra: str = "") -> None:
    """Skip the test, or the whole module, where one of the packages is not installed; `extra` would bring it."""
    for name in names:
        if find_spec(name) is None:
            why = f" (extra `{extra}`)" if extra else ""
            pytest.skip(f"{name} is not installed{why}", allow_module_level=True)
