"""One process that has imported torch and vLLM, and forks the others of a CPU run, which would each import them anew.

A run's tree is some ten Python processes, started one after the other, each of which spends six to nine seconds on the
same imports: more than a micro model's training takes. The trainer's main process starts a server that imports them
once, beside its own start. Ray's workers and vLLM's engine ask it for a fork as their first act and then stand in for
it: what they were started with (words, environment, folder, descriptors) is the fork's, and whoever ends first ends
the other. Where no fork is to be had, a process goes its own way and imports for itself.
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
import struct
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
#: What verl's processes import, less verl and Ray themselves: Ray reads what it is told in its environment (its job,
#: its token) when it is imported, and each fork is told something else. Both cost half a second once these are there.
_MODULES = (
    "torch._dynamo",
    "torch._inductor.lowering",
    "tensordict",
    "datasets",
    "transformers.modeling_utils",
    "transformers.models.qwen3_vl",
    "hydra",
    "peft",
    "vllm.v1.engine.async_llm",
    "vllm.v1.worker.cpu_worker",
    "vllm.entrypoints.openai.api_server",
    "vllm.model_executor.models.qwen3_vl",
)
_MAIN = "verl.trainer.main_ppo"
_RAY_WORKER = str(Path("ray", "_private", "workers", "default_worker.py"))
_SPAWNED = "--multiprocessing-fork"
_HEADER = struct.Struct("!Q")
_PATIENCE = 120.0  # seconds until the server has imported all
_GRACE = 3.0  # seconds between asking a fork to end and ending it
_MOST = 253  # descriptors that go with one message (Linux's SCM_MAX_FD)
_HIGH = 500  # descriptors from here on are not among those that a fork is to have


def take_part(words: Sequence[str]) -> None:
    """What a process does before anything else: start the server, become a fork, or nothing; `words` started it.

    Does not return in a process that a fork stands in for; that exits as the fork does.
    """
    if _MAIN in words:
        with contextlib.suppress(OSError):  # no room, or a path too long for a socket: each process imports for itself
            os.environ[SOCKET] = start()
    elif path := os.environ.get(SOCKET):
        if len(words) > 1 and words[1].endswith(_RAY_WORKER):
            _ask(path, words[1:])
        elif _SPAWNED in words and "-c" in words:
            _ask(path, words[words.index("-c") :])


def start(modules: Sequence[str] = _MODULES) -> str:
    """Start a server that imports `modules`; returns the path of its socket.

    The socket is in a folder of its own (mode 0700) among the temporary files, so only this user can ask for forks.
    """
    path = str(Path(tempfile.mkdtemp(prefix="forks-"), "socket"))
    with socket.socket(socket.AF_UNIX) as listening:  # then the server's alone: if it dies, who asks is refused at once
        listening.bind(path)
        listening.listen(64)
        code = f"from training.on_verl.patches.fork_server import serve; serve({listening.fileno()}, {list(modules)!r})"
        command = [sys.executable, "-c", code]
        subprocess.Popen(command, pass_fds=[listening.fileno()], preexec_fn=processes.die_with_parent)
    return path


def serve(descriptor: int, modules: Sequence[str]) -> None:
    """Import all `modules`, then fork whenever asked, for as long as the process lives.

    Forks come from a process of one thread only: others would be missing in them, with whatever locks they held. That
    of Arrow's allocator is none of those, for jemalloc starts it anew in a fork.
    """
    listening = socket.socket(fileno=descriptor)
    sys.modules["ray"] = None  # type: ignore[assignment]  # an import fails, and vLLM goes on as if there were none
    for name in modules:
        import_module(name)
    del sys.modules["ray"]
    if names := _threads():
        sys.exit(f"No process can be forked: the imports have started the threads {', '.join(names)}.")
    gc.collect()
    gc.freeze()  # what is shared stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave nothing behind
    while True:
        asked, _ = listening.accept()
        with asked, contextlib.suppress(OSError, ValueError, struct.error):  # one that died while asking
            asked.settimeout(_GRACE)
            header, received, _, _ = socket.recv_fds(asked, _HEADER.size, _MOST)
            request = json.loads(_exactly(asked, _HEADER.unpack(header)[0]))
            asked.settimeout(None)
            if os.fork() == 0:
                listening.close()
                _become(request, received, asked)
            for number in received:
                os.close(number)


def _threads() -> list[str]:
    """Names of the process's threads that forks could not do without."""
    own = [task for task in Path("/proc/self/task").iterdir() if int(task.name) != os.getpid()]
    return [name for task in own if (name := (task / "comm").read_text().strip()) != "jemalloc_bg_thd"]


def _exactly(asked: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = asked.recv(size - len(parts))
        if not part:
            raise OSError("The asking process ended.")
        parts += part
    return parts


def _become(request: dict[str, Any], received: Sequence[int], asked: socket.socket) -> NoReturn:
    """In the fork: take over everything the asking process was started with, and run what it was to run."""
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
    except BaseException:  # whatever it is, the server's loop is not to go on here
        traceback.print_exc()
    finally:
        os._exit(code)


def _moved(number: int) -> int:
    """The descriptor under a high number, where it is in nobody's way; not for programs that are started from here."""
    high = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(number)
    return high


def _end_with(line: socket.socket) -> None:
    """End this process when the one that asked has ended."""
    with contextlib.suppress(OSError):
        line.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _run(words: Sequence[str]) -> int:
    """Run a script, or code after `-c`, as the interpreter would; returns the exit code."""
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


def _ask(path: str, words: Sequence[str]) -> None:
    """Be replaced by a fork: exit as it does. Returns where there is none."""
    descriptors = _open_descriptors()
    request = {
        "words": list(words),
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "descriptors": descriptors,
    }
    body = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.settimeout(_PATIENCE)
            line.connect(path)
            socket.send_fds(line, [_HEADER.pack(len(body))], descriptors)
            line.sendall(body)
            if not line.recv(1):
                return
        except OSError:
            return
        line.settimeout(None)
        _stand_in(line)


def _open_descriptors() -> list[int]:
    """Those that this process was started with: Python itself keeps none open."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the one that listed them
            os.fstat(number)
            found.append(number)
    return found


def _stand_in(line: socket.socket) -> NoReturn:
    """Wait for the fork's end, with nothing else open, and end alike."""
    for number in _open_descriptors():
        if number != line.fileno():
            os.close(number)
    try:
        code = line.recv(1)
    except OSError:
        code = b""
    os._exit(code[0] if code else 1)
