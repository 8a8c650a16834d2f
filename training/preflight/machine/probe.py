"""Report what the trainer's environment and this machine have: `python -m training.preflight.machine.probe PATH...`.

Prints one line of JSON. The trainer's own interpreter runs it, here or by `nodes` on each node of a cluster, so it
imports nothing of this package, and every failure becomes part of the report. Sizes are in bytes; unknown values are
null.
"""

import importlib
import json
import os
import platform
import resource
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Module -> distribution. Each is imported, because a wheel for another torch is installed but fails to import.
MODULES = {
    "torch": "torch", "vllm": "vllm", "flash_attn": "flash-attn", "verl": "verl", "ray": "ray",
    "fla": "flash-linear-attention",
}  # fmt: skip
_SHM = Path("/dev/shm")  # noqa: S108 (its size is looked at)


def report(paths: list[str]) -> dict[str, Any]:
    """The report; `paths` are those that must exist on every node."""
    modules = {name: _module(name, package) for name, package in MODULES.items()}
    scratch = shutil.disk_usage("/tmp")  # noqa: S108 (where Ray keeps its session)
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "modules": modules,
        "missing": [path for path in paths if not Path(path).exists()],
        "cuda": _cuda() if not modules["torch"]["fault"] else None,
        "memory": _memory(),
        "shared_memory": shutil.disk_usage(_SHM).free if _SHM.is_dir() else None,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "scratch": scratch.used / scratch.total,
    }


def _module(name: str, package: str) -> dict[str, str]:
    """Its version, "" if it is not installed, and the error of importing it, "" if there is none."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return {"version": "", "fault": "it is not installed"}
    try:
        importlib.import_module(name)
    except Exception as error:
        return {"version": found, "fault": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
    return {"version": found, "fault": ""}


def _cuda() -> dict[str, Any]:
    """The CUDA versions of torch and of the driver (as "13.0"), and the visible GPUs."""
    torch: Any = importlib.import_module("torch")
    gpus = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        gpus.append({"name": torch.cuda.get_device_name(number), "free": free, "total": total})
    driver = torch._C._cuda_getDriverVersion() if hasattr(torch._C, "_cuda_getDriverVersion") else 0
    return {
        "built": torch.version.cuda,
        "driver": f"{driver // 1000}.{driver % 1000 // 10}" if driver else None,
        "gpus": gpus,
    }


def _memory() -> int | None:
    """Bytes of memory available to a new process."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


if __name__ == "__main__":
    # On a line of its own, since libraries may print while they are imported.
    print("\n" + json.dumps(report(sys.argv[1:])), flush=True)
    os._exit(0)  # without waiting for threads that imports have started
