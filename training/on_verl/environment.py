"""Environment variables of a trainer's process tree.

They are the caller's variables that the trainer and its libraries need (`trust.child_environment`; of secrets only the
keys of the recipe's trackers), the settings below, and a PYTHONPATH that begins with the bootstrap folder
(`bootstrap/sitecustomize.py`), which every Python process runs first. A CPU run also gets verl's platform plugin, whose
patches and fork server that folder installs, and one thread per process: many processes run at once, and only the one
that updates weights has the machine to itself (see `patches.cpu`).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from capcurriculum.trust import child_environment

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]

#: verl's platform plugin for CPUs.
CPU_PLATFORM = "training.on_verl.cpu_platform"

_CPU = {
    "VERL_PLATFORM": "cpu",
    "VERL_USE_EXTERNAL_MODULES": CPU_PLATFORM,
    "VERL_ENGINE_DEVICE": "cuda",  # verl registers its FSDP engines for cuda and npu only; they run on a CPU unchanged
    "OMP_NUM_THREADS": "1",
    # Ray waits 30 s for its helper processes, which is too short on a busy laptop.
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_worker_niceness": "0",  # Ray's default of 15 starves its workers beside any other busy process
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # run the engine in the server's process: one process less to start
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARN",  # verl sets it too, but after processes of the fork server have imported vLLM
    # Else vLLM compiles its sampler with the C++ compiler on the first request, 20 s at every start.
    "TORCHDYNAMO_DISABLE": "1",
}

#: What every node of a cluster sets before it starts Ray.
SHARED = {
    "HYDRA_FULL_ERROR": "1",
    "PYTHONUNBUFFERED": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # The watchdog takes silence for a hang. While verl waits for rollouts, its replay buffer would print every minute
    # and its transfer queue every five.
    "VERL_REPLAY_BUFFER_DEBUG_INTERVAL_SECONDS": "86400",
    "TQ_PERF_LOG_FLUSH_INTERVAL": "86400",
}

#: For a Ray of one machine: listen on loopback only. Ray executes what anyone sends to its ports and listens on every
#: address, except where it believes that no cluster is possible, as on Windows; `_node_ip_address` alone does not
#: change that. Gloo listens on the address of the host name unless an interface is given.
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {})
#: Credentials of a Ray cluster.
_CLUSTER = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
#: Trackers whose variables, credentials included, begin with their name.
_TRACKERS = ("wandb", "mlflow", "swanlab", "trackio")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def trainer_environment(device: str, trackers: Sequence[str] = ()) -> dict[str, str]:
    """Variables for `device` ("cpu" or "cuda"), with the secrets of `trackers` and no others.

    A CPU run never joins a Ray cluster.
    """
    prefixes = [f"{tracker.upper()}_" for tracker in trackers if tracker in _TRACKERS]
    variables = child_environment.environment(SHARED, (*_CLUSTER, *prefixes, *(_PROXIES if trackers else ())))
    if device == "cpu":
        variables |= _CPU
        variables.pop("RAY_ADDRESS", None)
    entries = [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if entry]
    variables["PYTHONPATH"] = os.pathsep.join([path(), *entries])
    return variables


def path() -> str:
    """The bootstrap folder and, unless this package is installed, its root, as entries of PYTHONPATH."""
    entries = [str(_HERE / "bootstrap")] + ([str(_ROOT)] if _ROOT.name != "site-packages" else [])
    return os.pathsep.join(entries)


def own_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that differ from the caller's environment: those that a printed command has to set."""
    return {name: value for name, value in variables.items() if os.environ.get(name) != value}
