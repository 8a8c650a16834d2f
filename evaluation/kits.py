"""Evaluation kits in environments of their own: found, asked for their version, and run without leaving a process.

Nothing of a kit is imported or patched here. Its process gets no key (the relay has them), no proxy between it and this
machine, and is ended when the server it asks has ended, instead of failing sample by sample for hours.
"""

import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import EvaluationError
from capcurriculum.trust import child_environment
from evaluation.serving import server
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import HOST, Launch
from training.supervise import processes, watchdog
from training.supervise import supervisor as supervision

#: The version of a kit whose interpreter was not started.
UNASKED = "not asked"
#: What `make eval-venv` makes.
DEFAULT = Path(".venv-eval/bin/python")
_POLL = 0.2
_VERSION_SECONDS = 60
_BEDROCK_SECONDS = 300.0
#: Kits fetch their benchmarks themselves.
_REACH = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
#: Amazon's credentials.
_AMAZON = ("AWS_",)
_QUIET = {
    "NO_PROXY": f"{HOST},localhost",
    "no_proxy": f"{HOST},localhost",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Kit:
    """A kit: what this program calls it, its interpreter, and the version of its distribution."""

    name: str
    python: str
    version: str


@dataclass(frozen=True, slots=True)
class Session:
    """Where and how a kit asks one model. `folder` is absolute."""

    kit: Kit
    target: Target
    max_tokens: int
    setup: str
    folder: Path
    concurrency: int

    @property
    def log(self) -> Path:
        """All that the kit printed."""
        return self.folder / f"{self.kit.name}.log"

    @property
    def journal(self) -> Path:
        """Every reply, as the relay keeps it."""
        return self.folder / "replies.jsonl"


def find(name: str, distributions: Sequence[str], python: str, hint: str, *, start: bool = True) -> Kit:
    """The kit in the environment of `python`, "" for the one that the Makefile makes.

    Where it is not to be started, nobody tells its version.

    Raises:
        EvaluationError: there is no such interpreter, or the kit is not installed there.
    """
    path = Path(os.path.expanduser(python)) if python else DEFAULT
    mend = f"`make eval-venv` makes such an environment, or {hint}"
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        named = f"There is no Python at {path}" if python else f"No environment of {name} is named"
        raise EvaluationError(f"{named}; {mend}, and name its Python with --python or evaluation.python.")
    if not start:
        return Kit(name, str(path.absolute()), UNASKED)
    ask = "import sys; from importlib.metadata import distributions as d; w = sys.argv[1:]; " \
          "print(next((x.version for n in w for x in d() if (x.metadata['Name'] or '').lower() == n), ''))"  # fmt: skip
    try:
        done = subprocess.run(
            [str(path), "-c", ask, *distributions],
            env=environment({"PYTHONSAFEPATH": "1"}),
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EvaluationError(f"{path} does not answer ({error}); name another Python with --python.") from error
    if done.returncode or not done.stdout.strip():
        raise EvaluationError(f"{path} has no {distributions[0]}; {mend}.")
    # Absolute, and not resolved: a virtual environment is known by the place of its link.
    return Kit(name, str(path.absolute()), done.stdout.strip())


def environment(further: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """The variables of a kit's process; of secrets it holds those named in `keep` alone."""
    kept = child_environment.environment({}, (*_REACH, *keep))
    kept.pop("PYTHONPATH", None)
    return kept | _QUIET | {"OPENAI_API_KEY": "EMPTY"} | dict(further)


def keys(token: str) -> dict[str, str]:
    """The variables by which a kit's process gets a relay's token: neither its command line nor a file has it."""
    return {"OPENAI_API_KEY": token, "LMDEPLOY_API_KEY": token}


def run(
    kit: Kit,
    argv: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    log: Path,
    ended: Callable[[], str],
    keep: Collection[str] = (),
) -> str:
    """Run a command of a kit to its end; "" when it ended well, else how it ended.

    `folder` is its working directory and marks its processes; `ended` says how the server it asks has ended, if it has;
    `keep` names secrets that it needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if found := processes.importable(folder):
        return f"{folder} holds {found}, which the kit's Python would import; look at it, and take it away"
    processes.end(folder)  # of a run that was killed
    start = log.stat().st_size if log.exists() else 0
    with log.open("ab") as handle:
        child = subprocess.Popen(
            [kit.python, *argv],
            cwd=folder,
            env=environment(variables, keep) | {processes.MARKER: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=processes.die_with_parent,
        )
    try:
        with supervision.signals_as_interrupts():
            while (code := child.poll()) is None:
                if why := ended():
                    return why
                time.sleep(_POLL)
    finally:
        with supervision.signals_ignored():
            processes.end(folder, child.pid)
            child.wait()
    return f"{kit.name} {watchdog.ended(code, log, start)}; its log is {log}" if code else ""


@contextmanager
def bedrock(kit: Kit, model: str, folder: Path, token: str) -> Iterator[str]:
    """The base URL of a server in the kit's environment that answers with a Bedrock model through the kit's own class.

    It answers who has the `token`.

    Raises:
        EvaluationError: it does not come up: the kit lacks boto3, or there are no credentials.
    """
    port = server.free_port()
    script = Path(__file__).parent / "vlmevalkit" / "bedrock.py"
    variables = _QUIET | {"BEDROCK_TOKEN": token}
    launch = Launch((kit.python, str(script), str(port), model), variables, model, port, (*_AMAZON, *_REACH))
    with server.serving(launch, _BEDROCK_SECONDS, folder / "bedrock") as running:
        yield running.url
