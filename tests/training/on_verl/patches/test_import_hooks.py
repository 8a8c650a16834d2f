"""Patches reach a module whoever looks for it first, and never hide another module from a search that is under way."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from training.on_verl.patches.import_hooks import after_import


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that can be imported, none of which is yet."""
    names = [f"hooked_{number}" for number in range(12)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("value = 1\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return names


def test_a_module_that_was_only_looked_for_is_patched_when_it_is_imported(modules: list[str]) -> None:
    after_import(modules[0], lambda module: setattr(module, "value", 2))
    assert importlib.util.find_spec(modules[0]) is not None
    module = importlib.import_module(modules[0])
    assert module.value == 2
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__


def test_two_patches_of_a_module_are_both_applied(modules: list[str]) -> None:
    after_import(modules[0], lambda module: setattr(module, "value", module.value + 1))
    after_import(modules[0], lambda module: setattr(module, "value", module.value + 1))
    assert importlib.import_module(modules[0]).value == 3


def test_imports_inside_a_search_do_not_make_it_miss_what_is_there(modules: list[str]) -> None:
    class Importing:
        """As a finder that imports torch before it lets torchvision be found."""

        def find_spec(
            self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
        ) -> ModuleSpec | None:
            if name == modules[0]:
                for other in modules[1:]:
                    importlib.import_module(other)
            return None

    sys.meta_path.insert(0, Importing())
    for other in modules[1:]:
        after_import(other, lambda module: setattr(module, "value", 2))
    assert importlib.util.find_spec(modules[0]) is not None
    assert [importlib.import_module(name).value for name in modules] == [1] + 11 * [2]
