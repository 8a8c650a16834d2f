"""Let `import torchvision` succeed where its compiled half does not load.

PyPI's torchvision wheel is a CUDA build; beside a CPU torch its `_C.so` cannot be loaded, and the import dies on
"operator torchvision::nms does not exist" although Qwen-VL processors need only its Python transforms. The shim waits
for the import, and only if the compiled half really fails to load declares the two missing operators; a proper build
is untouched. Installing the shim imports nothing, and neither does asking whether torchvision is there, as `datasets`
does: torch takes seconds and a quarter of a gigabyte.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

#: Operators that torchvision's Python code registers meta kernels for while it is imported (torchvision 0.28).
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

#: Torch drops an operator when the library object that declared it is collected.
_kept_alive: list[object] = []


class _Declaring(Loader):
    """The loader that was found, with the declaration before it begins."""

    def __init__(self, found: Loader) -> None:
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._found.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._found
        module.__loader__ = self._found
        _declare_missing_operators()
        self._found.exec_module(module)


class _BeforeTorchvision(MetaPathFinder):
    """Finds torchvision as anybody would, and acts when it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "torchvision" else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Declaring(spec.loader)
        return spec


def ensure_torchvision() -> None:
    """Make a later `import torchvision` (transformers does it) work with a CPU torch; may be called many times."""
    if "torchvision" in sys.modules or any(isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _BeforeTorchvision())


def _declare_missing_operators() -> None:
    if _kept_alive or importlib.util.find_spec("torch") is None or _compiled_half_loads():
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(operator)
    _kept_alive.append(library)


def _compiled_half_loads() -> bool:
    import torch

    spec = PathFinder.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # not installed: nothing to mend
    for library in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            return False
        return True
    return True
