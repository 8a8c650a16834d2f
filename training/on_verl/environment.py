"""The environment variables of a trainer's process tree.

What the trainer and its libraries need of the caller's own environment (`trust.child_environment`: of secrets
the keys of the recipe's trackers alone), what a run needs besides, and the bootstrap folder
(`bootstrap/sitecustomize.py`), by which every process can be asked where it stands. On a CPU also the platform plugin,
for which that folder patches every process and takes its imports from a server of forks, and one thread a process: many
work at once, and only the one that updates the weights has the machine to itself (see `patches.cpu`).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from capcurriculum.trust import child_environment

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]

#: The module by which verl knows a CPU.
CPU_PLATFORM = "training.on_verl.cpu_platform"

_CPU = {
    "VERL_PLATFORM": "cpu",
    "VERL_USE_EXTERNAL_MODULES": CPU_PLATFORM,
    "VERL_ENGINE_DEVICE": "cuda",  # verl registers its FSDP engines for cuda and npu; they run on the CPU as they are
    "OMP_NUM_THREADS": "1",
    # Ray gives its own helpers 30 s to appear, which a laptop that is busy with something else does not keep.
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_worker_niceness": "0",  # Ray's 15 starves its workers beside any other busy process
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # lets the engine process do the work itself: one process less to start
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARN",  # as verl tells its workers, too late for those that were imported before
    # vLLM compiles its sampling with the C++ compiler on the first request: 20 s of every start, for nothing here.
    "TORCHDYNAMO_DISABLE": "1",
}

_SHARED = {
    "HYDRA_FULL_ERROR": "1",
    "PYTHONUNBUFFERED": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # Silence is how the watchdog knows a hang. While verl waits for rollouts, its replay buffer says so every minute,
    # and the transfer queue that it asks says every five how many requests it has had.
    "VERL_REPLAY_BUFFER_DEBUG_INTERVAL_SECONDS": "86400",
    "TQ_PERF_LOG_FLUSH_INTERVAL": "86400",
}


#: For a Ray of one machine. Ray lets whoever reaches its ports run anything, and listens on every address of a machine
#: unless it takes it for one that joins no cluster, as it does on Windows; `_node_ip_address` alone changes nothing.
#: Gloo listens on the address that the machine's name stands for, unless told an interface.
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {})
#: A cluster's password, without which its processes do not speak to one another.
_CLUSTER = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
#: What a tracker is signed in and reached by.
_TRACKERS: Mapping[str, tuple[str, ...]] = {
    "wandb": ("WANDB_",),
    "mlflow": ("MLFLOW_",),
    "swanlab": ("SWANLAB_",),
    "trackio": ("TRACKIO_",),
}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def trainer_environment(device: str, trackers: Sequence[str] = ()) -> dict[str, str]:
    """Variables for `device` ("cpu" or "cuda"); a CPU run never joins a Ray cluster that happens to be there.

    Of secrets it holds those of `trackers` alone.
    """
    keep = [name for tracker in trackers for name in (*_TRACKERS.get(tracker, ()), *_PROXIES)]
    variables = child_environment.environment(_SHARED, (*_CLUSTER, *keep))
    entries = path().split(os.pathsep)
    if device == "cpu":
        variables |= _CPU
        variables.pop("RAY_ADDRESS", None)
    entries += [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if entry]
    variables["PYTHONPATH"] = os.pathsep.join(entries)
    return variables


def path() -> str:
    """What a trainer's interpreter needs on its path; of a package that is installed, only what Python runs first."""
    entries = [str(_HERE / "bootstrap")] + ([str(_ROOT)] if _ROOT.name != "site-packages" else [])
    return os.pathsep.join(entries)


def shared() -> dict[str, str]:
    """What every node of a cluster has to set before its Ray is started."""
    return dict(_SHARED)


def own_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Only what differs from the caller's environment: what a printed command has to set."""
    return {name: value for name, value in variables.items() if os.environ.get(name) != value}
