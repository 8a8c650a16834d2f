"""Fork server for CPU runs: one process imports torch and vLLM and forks the other processes of the run.

A run is about ten Python processes, started one after the other, and each spends six to nine seconds on the same
imports: more than a micro model's training takes. The trainer's main process starts the server, which imports them once
in parallel with the main process's own start. Ray's workers and vLLM's engine request a fork as the first thing they
do. The fork takes over their command line, environment, working directory and file descriptors, and the requesting
process waits for it; if either ends, the other ends too. Without a fork, a process imports for itself.
"""

import atexit
import contextlib
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from training.supervise import processes, stacks

#: Environment variable with the path of the server's socket.
SOCKET = "CAPCURRICULUM_FORK_SERVER"
#: What verl's processes import, except verl and Ray: Ray reads its environment (job, token) at import, and that differs
#: between forks. Both take half a second once these are imported.
_MODULES = tuple(
    """
    torch._dynamo torch._inductor.lowering tensordict datasets transformers.modeling_utils transformers.models.qwen3_vl
    hydra peft vllm.v1.engine.async_llm vllm.v1.worker.cpu_worker vllm.entrypoints.openai.api_server
    vllm.model_executor.models.qwen3_vl
    """.split()  # noqa: SIM905
)
_MAIN = "verl.trainer.main_ppo"
_RAY_WORKER = str(Path("ray", "_private", "workers", "default_worker.py"))
_SPAWNED = "--multiprocessing-fork"
_HEADER_BYTES = 8  # length of the request that follows
_PATIENCE = 120.0  # seconds until the server has imported all
_GRACE = 3.0  # seconds between SIGTERM to a fork and its end
_MAX_DESCRIPTORS = 253  # of one message (Linux's SCM_MAX_FD)
_HIGH = 500  # above the descriptors of any requesting process


def take_part(words: Sequence[str]) -> None:
    """Start the server in the trainer's main process, and replace a worker by a fork; called first in every process.

    Args:
        words: the command line of this process. If a fork replaces it, this does not return and it exits as the fork.
    """
    if _MAIN in words:
        with contextlib.suppress(OSError):  # disk full, or TMPDIR too long for a socket's path
            os.environ[SOCKET] = start()
    elif path := os.environ.get(SOCKET):
        if len(words) > 1 and words[1].endswith(_RAY_WORKER):
            _request_fork(path, words[1:])
        elif _SPAWNED in words and "-c" in words:
            _request_fork(path, words[words.index("-c") :])


def start(modules: Sequence[str] = _MODULES) -> str:
    """Start a server that imports `modules`; returns the path of its socket.

    The socket is in its own temporary folder of mode 0700, so only this user can request forks.
    """
    path = str(Path(tempfile.mkdtemp(prefix="forks-"), "socket"))
    with socket.socket(socket.AF_UNIX) as listening:  # closed here, so that connections fail once the server has died
        listening.bind(path)
        listening.listen(64)
        code = f"from training.on_verl.patches.fork_server import serve; serve({listening.fileno()}, {list(modules)!r})"
        command = [sys.executable, "-c", code]
        subprocess.Popen(command, pass_fds=[listening.fileno()], preexec_fn=processes.die_with_parent)
    return path


def serve(descriptor: int, modules: Sequence[str]) -> None:
    """Import all `modules`, then fork on every request, for as long as the process lives.

    The process must have a single thread: a fork has only the calling one, and locks of the others would stay locked.
    jemalloc's background thread is an exception, since jemalloc restarts it in a fork.
    """
    listening = socket.socket(fileno=descriptor)
    sys.modules["ray"] = None  # type: ignore[assignment]  # its import fails, and vLLM treats it as not installed
    for name in modules:
        import_module(name)
    del sys.modules["ray"]
    if names := _threads():
        sys.exit(f"No process can be forked: the imports have started the threads {', '.join(names)}.")
    gc.collect()
    gc.freeze()  # a collection would write to pages that forks share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    while True:
        line, _ = listening.accept()
        with line, contextlib.suppress(OSError, ValueError):  # the requesting process died
            line.settimeout(_GRACE)
            header, received, _, _ = socket.recv_fds(line, _HEADER_BYTES, _MAX_DESCRIPTORS)
            with line.makefile("rb") as stream:
                request = json.loads(stream.read(int.from_bytes(header)))
            line.settimeout(None)
            if os.fork() == 0:
                listening.close()
                _become(request, received, line)
            for number in received:
                os.close(number)


def _threads() -> list[str]:
    """Names of the threads beside the main one and jemalloc's."""
    others = [task for task in Path("/proc/self/task").iterdir() if int(task.name) != os.getpid()]
    return [name for task in others if (name := (task / "comm").read_text().strip()) != "jemalloc_bg_thd"]


def _become(request: dict[str, Any], received: Sequence[int], asked: socket.socket) -> NoReturn:
    """In the fork: take over the requesting process's environment and descriptors, and run its program."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kept = [_moved(number) for number in received]
        line = socket.socket(fileno=_moved(asked.detach()))
        for number, wanted in zip(kept, request["descriptors"], strict=True):
            os.dup2(number, wanted)
            os.close(number)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        stacks.register()
        line.sendall(b"+")
        threading.Thread(target=_end_with, args=[line], daemon=True).start()
        code = _run(request["words"])
        atexit._run_exitfuncs()
        sys.stdout.flush()
        line.sendall(bytes([code % 256]))
    except BaseException:  # never return to the server's loop
        traceback.print_exc()
    finally:
        os._exit(code)


def _moved(number: int) -> int:
    """Move a descriptor above those to be restored; it is closed on exec."""
    high = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(number)
    return high


def _end_with(line: socket.socket) -> None:
    """End this process when the requesting one has ended."""
    with contextlib.suppress(OSError):
        line.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _run(words: Sequence[str]) -> int:
    """Run a script, or the code after `-c`, as the interpreter would; returns the exit code."""
    try:
        if words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(words[1], "<string>", "exec"), main.__dict__)  # noqa: S102 (Python's own, as it was started)
        else:
            sys.argv = list(words)
            sys.path.insert(0, str(Path(words[0]).parent))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    return 0


def _request_fork(path: str, words: Sequence[str]) -> None:
    """Request a fork and wait for it; returns only if there is none."""
    descriptors = _open_descriptors()
    request = {"words": words, "environment": dict(os.environ), "folder": str(Path.cwd()), "descriptors": descriptors}
    body = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.settimeout(_PATIENCE)
            line.connect(path)
            socket.send_fds(line, [len(body).to_bytes(_HEADER_BYTES)], descriptors)
            line.sendall(body)
            if not line.recv(1):
                return
        except OSError:
            return
        line.settimeout(None)
        _wait_for_fork(line)


def _open_descriptors() -> list[int]:
    """The descriptors this process was started with; Python itself keeps none open."""
    listed = os.listdir("/proc/self/fd")  # with the descriptor of the listing itself, which is closed now
    return [int(number) for number in listed if os.path.lexists(f"/proc/self/fd/{number}")]


def _wait_for_fork(line: socket.socket) -> NoReturn:
    """Close all other descriptors, wait for the fork, and exit with its code."""
    for number in _open_descriptors():
        if number != line.fileno():
            os.close(number)
    try:
        code = line.recv(1)
    except OSError:
        code = b""
    os._exit(code[0] if code else 1)
