"""The libraries that read rows: those of the environment that trains, whose versions make what verl will make.

With `training.python` that is another environment than this one. Its Python starts the worker processes, which it can
if it is of the same version: they are told what to do in pickles of ours.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from capcurriculum.trust import child_environment

#: What a worker cannot do without, and what else decides how many tokens a row has or whether it is paid.
NEEDED = ("transformers", "torch", "torchvision", "qwen-vl-utils")
_DECIDING = ("tokenizers", "math-verify", "pillow")
_ASK = (
    "import importlib.metadata as m, json, sys;"
    "have = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()};"
    "print(json.dumps([list(sys.version_info[:2]), {n: have.get(n, '') for n in sys.argv[1:]}]))"
)
_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Libraries:
    """`versions` are (name, version), "" for one that is not installed in the environment of `python`."""

    python: str
    version: tuple[int, int]
    versions: tuple[tuple[str, str], ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Needed ones that are not installed."""
        return tuple(name for name, found in self.versions if name in NEEDED and not found)

    def usable(self) -> bool:
        """Whether worker processes can run there."""
        return not self.missing and self.version == sys.version_info[:2]


def of(python: str) -> Libraries | None:
    """What the environment of an interpreter has; None where it does not say."""
    names = (*NEEDED, *_DECIDING)
    if python == sys.executable:
        return Libraries(python, sys.version_info[:2], tuple((name, _version(name)) for name in names))
    try:
        done = subprocess.run(
            [python, "-c", _ASK, *names],
            env=child_environment.environment({"PYTHONSAFEPATH": "1"}),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        told, versions = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Libraries(python, (told[0], told[1]), tuple(versions.items()))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
