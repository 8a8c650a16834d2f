"""Patch a module right after it is first imported.

The trainer's processes import torch, verl and vLLM in an order that is not ours to choose, and importing them early is
slow or circular. A hook costs nothing in a process that never imports the module.
"""

import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

Patch = Callable[[ModuleType], None]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def replaces(owner: Any) -> Callable[[_Function], _Function]:
    """Decorator: set the attribute of a module or class that has the function's name to the function."""

    def replace(function: _Function) -> _Function:
        setattr(owner, function.__name__, function)
        return function

    return replace


def after_import(name: str, patch: Patch) -> None:
    """Call `patch(module)` once: now if `name` is already imported, else right after its import."""
    module = sys.modules.get(name)
    if module is not None:
        patch(module)
    else:
        sys.meta_path.insert(0, _Finder(name, patch))


class _Finder(MetaPathFinder):
    """Never removed: removing a finder from `sys.meta_path` makes an import in progress skip another one."""

    def __init__(self, name: str, patch: Patch) -> None:
        self.name = name
        self.patch = patch
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name or hasattr(self._searching, "now"):
            return None
        self._searching.now = True  # so that the next line does not recurse
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            del self._searching.now
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.patch(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
