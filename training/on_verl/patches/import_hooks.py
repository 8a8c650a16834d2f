"""Run a function right after a module is first imported.

The trainer is a tree of processes that import torch, verl and vllm in orders we do not choose, and importing them early
is slow or circular. A hook costs nothing in a process that never imports the module.
"""

import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Patch = Callable[[ModuleType], None]


def after_import(name: str, patch: Patch) -> None:
    """Call `patch(module)` once, now if `name` is imported already, else when it has been."""
    module = sys.modules.get(name)
    if module is not None:
        patch(module)
    else:
        sys.meta_path.insert(0, _Finder(name, patch))


class _Finder(MetaPathFinder):
    """Stays where it is: a finder that leaves `sys.meta_path` makes a search that is under way pass over others."""

    def __init__(self, name: str, patch: Patch) -> None:
        self.name = name
        self.patch = patch
        self._asking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name or hasattr(self._asking, "now"):
            return None
        self._asking.now = True  # keeps the next line from finding us
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            del self._asking.now
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.patch)
        return spec


class _Loader(Loader):
    """The real loader, with the patch behind it."""

    def __init__(self, real: Loader, patch: Patch) -> None:
        self.real = real
        self.patch = patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.real  # what others ask a loader for (source, resources) is the real one's
        module.__loader__ = self.real
        self.real.exec_module(module)
        self.patch(module)
