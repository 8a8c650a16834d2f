"""The libraries that read rows: those of the training environment, whose versions decide what verl will make of a row.

With `training.python` that is another environment. Its Python runs the worker processes if it has the same minor
version, since they exchange pickles with this process.
"""

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from capcurriculum.trust import child_environment
from training.interpreter import ProgramError, output_of

#: What a worker needs, and what else determines a row's tokens or reward.
NEEDED = ("transformers", "torch", "torchvision", "qwen-vl-utils")
_DECIDING = ("tokenizers", "math-verify", "pillow")
_VERSIONS = (
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
        """Needed libraries that are not installed."""
        return tuple(name for name, found in self.versions if name in NEEDED and not found)

    def usable(self) -> bool:
        """Whether worker processes can run there."""
        return not self.missing and self.version == sys.version_info[:2]


def of(python: str) -> Libraries | None:
    """The libraries of an interpreter's environment; None if it cannot be run."""
    names = (*NEEDED, *_DECIDING)
    if python == sys.executable:
        return Libraries(python, sys.version_info[:2], tuple((name, _version(name)) for name in names))
    variables = child_environment.environment({"PYTHONSAFEPATH": "1"})
    try:
        (major, minor), versions = output_of([python, "-c", _VERSIONS, *names], variables, seconds=_SECONDS)
    except (ProgramError, TypeError, ValueError):
        return None
    return Libraries(python, (major, minor), tuple(versions.items()))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
