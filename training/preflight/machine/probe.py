"""What the trainer's environment and this machine have, as one line of JSON.

Run as `python -m training.preflight.machine.probe PATH`.

Run by the trainer's own interpreter, here or by `nodes` on each machine of a cluster, so it imports nothing of this
package and whatever fails becomes part of what it says. Sizes are bytes; what cannot be told is null.
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

#: Module -> distribution. They must load, not only be there: a wheel for another torch is found and cannot be imported.
MODULES = {
    "torch": "torch", "vllm": "vllm", "flash_attn": "flash-attn", "verl": "verl", "ray": "ray",
    "fla": "flash-linear-attention",
}  # fmt: skip
_SHM = Path("/dev/shm")  # noqa: S108 (its size is looked at)


def report(paths: list[str]) -> dict[str, Any]:
    """All of it; `paths` are what must be there under the same name on every node."""
    modules = {name: _module(name, package) for name, package in MODULES.items()}
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "modules": modules,
        "missing": [path for path in paths if not Path(path).exists()],
        "cuda": _cuda() if not modules["torch"]["fault"] else None,
        "memory": _memory(),
        "shared_memory": shutil.disk_usage(_SHM).free if _SHM.is_dir() else None,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "scratch": _used(Path("/tmp")),  # noqa: S108 (where Ray keeps its session)
    }


def _module(name: str, package: str) -> dict[str, str]:
    """Its version, "" if there is none, and the error of importing it, "" if it loads."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return {"version": "", "fault": "it is not installed"}
    try:
        importlib.import_module(name)
    except Exception as error:
        return {
            "version": found,
            "fault": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        }
    return {"version": found, "fault": ""}


def _cuda() -> dict[str, Any]:
    """torch's CUDA, the newest the driver can run (both "13.0"), and each GPU that may be used."""
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
    """Bytes of this machine's memory that a new process can have."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _used(folder: Path) -> float:
    disk = shutil.disk_usage(folder)
    return disk.used / disk.total


if __name__ == "__main__":
    # Libraries print what they like while they are imported; the last line is ours.
    print("\n" + json.dumps(report(sys.argv[1:])), flush=True)
    os._exit(0)  # not to wait for threads that an import has left behind
