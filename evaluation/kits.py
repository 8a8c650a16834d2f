"""Evaluation kits in environments of their own: find one, read its version, run it, leave no process behind.

Nothing of a kit is imported or patched. Its process gets no API key (the relay adds it) and no proxy for loopback, and
is ended as soon as the server that it queries has ended.
"""

import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capcurriculum.errors import EvaluationError
from capcurriculum.trust import child_environment
from evaluation.serving import server
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import HOST, Launch
from training.supervise import processes, watchdog

#: The version of a kit whose interpreter was not started.
UNASKED = "not asked"
#: The interpreter of the environment that `make eval-venv` creates.
DEFAULT = Path(".venv-eval/bin/python")
_POLL = 0.2
_VERSION_SECONDS = 60
_BEDROCK_SECONDS = 300.0
#: Kits download their benchmarks themselves.
_REACH = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_AWS = ("AWS_",)
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
    """A kit: its name here, its interpreter, and the version of its distribution."""

    name: str
    python: str
    version: str


@dataclass(frozen=True, slots=True)
class Session:
    """The evaluation of one model by a kit. `setup` is a digest of all that can change a reply; `folder` is absolute.

    Subclasses set the kit's `name` here, its `distributions` (the preferred one first), a `hint` on how to install it,
    and the `version` of how models are asked.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    hint: ClassVar[str]
    version: ClassVar[int] = 1

    kit: Kit
    target: Target
    max_tokens: int
    setup: str
    folder: Path
    concurrency: int

    @property
    def log(self) -> Path:
        """The kit's output."""
        return self.folder / f"{self.kit.name}.log"

    @property
    def journal(self) -> Path:
        """The relay's journal of replies."""
        return self.folder / "replies.jsonl"


def find(name: str, distributions: Sequence[str], python: str, hint: str, *, start: bool = True) -> Kit:
    """The kit in the environment of `python` ("": `DEFAULT`); its version is `UNASKED` without `start`.

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
    # Absolute but not resolved: the link's location identifies the virtual environment.
    return Kit(name, str(path.absolute()), done.stdout.strip())


def environment(further: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """The environment of a kit's process; it holds no secrets but those named in `keep`."""
    kept = child_environment.environment({}, (*_REACH, *keep))
    kept.pop("PYTHONPATH", None)
    return kept | _QUIET | {"OPENAI_API_KEY": "EMPTY"} | dict(further)


def keys(token: str) -> dict[str, str]:
    """The variables that pass a relay's token to a kit, which is in no command line and no file."""
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
    """Run a command of a kit to its end; returns "" for success, else how it ended.

    `folder` is its working directory and marks its processes. `ended` returns how the server it queries has ended, ""
    while that runs. `keep` names secrets that the command needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if found := processes.importable(folder):
        return f"{folder} holds {found}, which the kit's Python would import; check it and remove it"
    start = log.stat().st_size if log.exists() else 0
    with (
        log.open("ab") as handle,
        server.supervised([kit.python, *argv], environment(variables, keep), folder, handle) as child,
    ):
        while (code := child.poll()) is None:
            if why := ended():
                return why
            time.sleep(_POLL)
    return f"{kit.name} {watchdog.ended(code, log, start)}; its log is {log}" if code else ""


@contextmanager
def bedrock(kit: Kit, model: str, folder: Path, token: str) -> Iterator[str]:
    """Serve a Bedrock model through the kit's own class, in its environment, and yield the base URL.

    Raises:
        EvaluationError: it does not start: boto3 or the credentials are missing.
    """
    port = server.free_port()
    script = Path(__file__).parent / "vlmevalkit" / "bedrock.py"
    variables = _QUIET | {"BEDROCK_TOKEN": token}
    launch = Launch((kit.python, str(script), str(port), model), variables, model, port, (*_AWS, *_REACH))
    with server.serving(launch, _BEDROCK_SECONDS, folder / "bedrock"):
        yield launch.url
