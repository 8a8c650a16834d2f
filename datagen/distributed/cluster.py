"""Start Ray on this machine, or join a running cluster.

Nothing is reported to Ray's makers, no dashboard is opened, and what workers print stays in Ray's own logs.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import RayWorkers
from capcurriculum.trust import child_environment

#: The address that means a Ray of our own.
LOCAL = "local"
#: Read by Ray when it is imported and by the processes it starts; whoever sets them otherwise is left in peace.
ENVIRONMENT: dict[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # An engine's own processes die with a killed worker, or they would keep its GPUs.
    "RAY_process_group_cleanup_enabled": "1",
}
#: For a Ray of this machine alone: it listens on loopback, where it would on all addresses and let whoever comes in.
ALONE: dict[str, str] = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
#: The name of the threads by which Ray Data hands out rows, and how long they are waited for.
_READER = "iter_threaded"
READERS_SECONDS = 10.0
#: Keys and counts are all that passes through it.
OBJECT_STORE_BYTES = 100_000_000


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Connect as the driver of the Ray cluster at `address` (`local`, `auto`, or host:port; None: do nothing).

    Raises:
        EngineError: Ray is not installed, or there is none at the address.
    """
    if address is None:
        yield
        return
    for name, value in (ENVIRONMENT | ALONE if address == LOCAL else ENVIRONMENT).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(f"--ray needs {error.name}; install capcurriculum[ray].") from error
    own: dict[str, Any] = {}
    if address == LOCAL:
        own = {"num_cpus": os.cpu_count(), "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    else:
        _check(address)
    before = signal.getsignal(signal.SIGTERM)
    try:
        # What the workers need is installed on their nodes; no runtime environment, which Ray would write down.
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(f"Ray cannot be used at {address}: {' '.join(str(error).split())[:300]}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray's own handler ends this process before it has put anything away
    _quiet(ray.data.DataContext.get_current())
    try:
        yield
    finally:
        _await_readers()
        ray.shutdown()


def _await_readers() -> None:
    """Let Ray Data's own threads come to their end: one that asks a Ray that is shut down ends this process."""
    deadline = time.monotonic() + READERS_SECONDS
    for thread in threading.enumerate():
        if thread.name == _READER:
            thread.join(max(0.0, deadline - time.monotonic()))


def _check(address: str) -> None:
    """Ray itself asks a wrong address for over a minute and then ends the process."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise EngineError(f"A Ray address is auto or host:port, for example 10.0.0.1:6379; {address} is not.")
    mend = "check it, and that this machine is a node of the cluster (`ray status` tells its address)"
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"Nothing answers at the Ray address {address} ({error}); {mend}.") from error
    ask = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        variables = child_environment.environment({}, ["RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
        healthy = subprocess.run(ask, env=variables, capture_output=True, timeout=ANSWER_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise EngineError(f"What answers at {address} is not a Ray of this version; {mend}.")


def _quiet(context: Any) -> None:
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # What goes wrong is raised, and comes out as one sentence.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def nodes() -> list[Mapping[str, float]]:
    """The resources of every living node."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(there: Sequence[Mapping[str, float]], each: RayWorkers) -> int:
    """How many workers the nodes hold at once.

    Raises:
        EngineError: not one.
    """
    cpus, gpus = float(each.cpus or 0), float(each.gpus or 0)
    count = 0
    for node in there:
        fits = [int(node.get(kind, 0) / need) for kind, need in (("CPU", cpus), ("GPU", gpus)) if need]
        count += min(fits)
    if count:
        return count
    largest = "; ".join(sorted({f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in there}))
    raise EngineError(
        f"No node of the Ray cluster has the {cpus:g} CPUs and {gpus:g} GPUs that a worker is to get (nodes have "
        f"{largest}); change gpus and cpus in the recipe's ray section, or start larger nodes."
    )
