# ruff: noqa: D102 (the base class documents the methods)
"""verl's platform plugin for a machine without an accelerator: the CPU as its one device, gloo for collectives.

verl loads it (`VERL_USE_EXTERNAL_MODULES=training.on_verl.cpu_platform`, `VERL_PLATFORM=cpu`). Ray schedules verl's
workers by a GPU resource, so a CPU run declares one logical GPU. Memory figures are the process's resident bytes.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import psutil
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


class _Device(str):
    """The device index: a device name, but 0 where verl formats `device:index`."""

    def __format__(self, spec: str) -> str:
        return "0"


_CPU = _Device("cpu")


class _DeviceModule(ModuleType):
    """Replaces `torch.cuda` in verl; falls back to `torch.cpu`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


def _no_op(*args: Any, **kwargs: Any) -> None:
    """For calls without a meaning on a CPU."""


def _device_module() -> ModuleType:
    module = _DeviceModule("training_cpu_device")
    ignored = "empty_cache synchronize ipc_collect set_device set_per_process_memory_fraction reset_peak_memory_stats"
    calls: dict[str, Any] = dict.fromkeys(ignored.split(), _no_op)
    calls |= dict.fromkeys(
        ("memory_allocated", "memory_reserved"), lambda *args, **kwargs: int(psutil.Process().memory_info().rss)
    )
    calls |= dict.fromkeys(
        ("max_memory_allocated", "max_memory_reserved"),
        lambda *args, **kwargs: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    calls |= dict.fromkeys(("manual_seed", "manual_seed_all"), torch.manual_seed)
    calls |= {
        "mem_get_info": lambda *args, **kwargs: (psutil.virtual_memory().available, psutil.virtual_memory().total),
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: _CPU,
        "get_device_name": lambda *args: "cpu",
        "get_rng_state": lambda *args: torch.get_rng_state(),
        "set_rng_state": lambda state, *args: torch.set_rng_state(state),
    }
    vars(module).update(calls)
    return module


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """verl's base class documents the members."""

    device_name = vendor_name = "cpu"
    device_module = _device_module()
    set_device = synchronize = set_allocator_settings = empty_cache = profiler_start = profiler_stop = cudart = _no_op

    def is_available(self) -> bool:
        return True

    def current_device(self) -> str:
        return _CPU

    def device_count(self) -> int:
        return 1

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False  # weights reach the rollout engine through shared memory

    def rollout_env_vars(self) -> dict[str, str]:
        return {}
