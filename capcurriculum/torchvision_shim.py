"""Let `import torchvision` succeed where its compiled half does not load.

PyPI's torchvision wheel is a CUDA build; beside a CPU torch its `_C.so` cannot be loaded, and the import dies on
"operator torchvision::nms does not exist" although Qwen-VL processors need only its Python transforms. The shim waits
for the import, and only if the compiled half really fails to load declares the two missing operators; a proper build
is untouched. Installing the shim imports nothing.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

#: Operators that torchvision's Python code registers meta kernels for while it is imported (torchvision 0.28).
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

#: Torch drops an operator when the library object that declared it is collected.
_kept_alive: list[object] = []


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; it only acts in time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            _declare_missing_operators()
        return None


def ensure_torchvision() -> None:
    """Make a later `import torchvision` (transformers does it) work with a CPU torch; may be called many times."""
    if "torchvision" in sys.modules or any(isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _BeforeTorchvision())


def _declare_missing_operators() -> None:
    # Asking for the spec alone (transformers does, to see what is installed) brings us here before the import does.
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
