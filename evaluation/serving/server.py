"""A supervised server process that ends with its context, including all child processes.

It has its own process group, log file and folder. The folder's path in its environment marks every process of its tree,
so a later start ends what a killed one left behind. Readiness is the server's health check; the error for a server that
ends before it is ready quotes the last error of its log.
"""

import contextlib
import hashlib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from capcurriculum.errors import EvaluationError
from evaluation.serving.vllm_command import HOST, Launch
from training.preflight.rows.cache import root
from training.supervise import processes, watchdog
from training.supervise import supervisor as supervision

_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    launch: Launch
    process: "subprocess.Popen[bytes]"
    log: Path

    def ended(self) -> str:
        """How it ended, "" while it runs."""
        code = self.process.poll()
        if code is None:
            return ""
        return f"The server of {self.launch.served} {watchdog.ended(code, self.log, 0)}; its log is {self.log}"


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def folder_of(launch: Launch) -> Path:
    """The folder of a server's log, one for each model and port."""
    name = hashlib.sha256(f"{launch.served}:{launch.port}".encode()).hexdigest()[:8]
    return root() / "serve" / f"{launch.served[:40]}-{name}"


@contextmanager
def supervised(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: IO[bytes]
) -> "Iterator[subprocess.Popen[bytes]]":
    """A process with its output in `log`, in its own group and marked by `folder`; its tree is ended on exit.

    Raises:
        OSError: the program cannot be started.
    """
    processes.end(folder)  # left by a killed process
    child = subprocess.Popen(
        list(argv),
        env={**environment, processes.MARKER: str(folder)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=processes.die_with_parent,
    )
    try:
        with supervision.signals_as_interrupts():
            yield child
    finally:
        with supervision.signals_ignored():  # cleanup is not interrupted by a second Ctrl-C
            processes.end(folder, child.pid)
            child.wait()


@contextmanager
def serving(launch: Launch, patience_seconds: float, folder: Path | None = None) -> Iterator[Server]:
    """A healthy server, whose whole process tree is ended on exit.

    Raises:
        EvaluationError: the port is taken, vLLM cannot be started, or it is not healthy within `patience_seconds`.
    """
    folder = (folder or folder_of(launch)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    processes.end(folder)  # a server of a killed command may hold the port
    _check_port(launch.port)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "server.log").open("wb"))
        try:
            child = stack.enter_context(supervised(launch.argv, launch.environment, folder, log))
        except OSError as error:
            raise EvaluationError(
                f"{launch.argv[0]} cannot be started ({error.strerror}); install vLLM there, or name its environment's "
                "interpreter with --python."
            ) from error
        server = Server(launch, child, folder / "server.log")
        _wait(server, patience_seconds)
        yield server


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EvaluationError(f"Port {port} is taken; give another one with --port (0: a free one).") from error


def _wait(server: Server, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    health = f"http://{HOST}:{server.launch.port}/health"
    while True:
        if ended := server.ended():
            raise EvaluationError(f"{ended}.")
        if _healthy(health):
            return
        if time.monotonic() > deadline:
            raise EvaluationError(
                f"The server of {server.launch.served} was not ready within {patience_seconds:g} seconds; its log is "
                f"{server.log}. Give it more time with --patience."
            )
        time.sleep(_POLL)


def _healthy(url: str) -> bool:
    # No proxy for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=5) as response:
        return bool(response.status == 200)
    return False
