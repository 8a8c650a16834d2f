"""The Python that runs the trainer: this one, or that of another environment (`training.python`).

The other environment holds the trainer and this package, whose reward, pixel limits and freezing verl's processes
import. That is checked before anything else is started there.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capcurriculum import __version__
from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import TrainingRecipe

_VERSIONS = (
    "import json, importlib.util, capcurriculum, training.reward;"
    "print(json.dumps([capcurriculum.__version__, [n for n in ('verl', 'torch') if not importlib.util.find_spec(n)]]))"
)
_SECONDS = 300
#: Keeps the working directory off the import path.
_SAFE_PATH = {"PYTHONSAFEPATH": "1"}


class ProgramError(Exception):
    """A program that should print JSON did not start, failed, timed out or printed none; the text is its last error."""


def output_of(
    command: Sequence[str], variables: Mapping[str, str], *, seconds: float | None = None, stdin: str | None = None
) -> Any:
    """The JSON value in the last line that a program prints; libraries may print before it.

    Args:
        command: the program and its arguments.
        variables: its whole environment.
        seconds: after which it is killed, None for never.
        stdin: what it reads.

    Raises:
        ProgramError: there is none.
    """
    try:
        done = subprocess.run(
            command, env=dict(variables), input=stdin, capture_output=True, text=True, timeout=seconds, check=True
        )
    except subprocess.CalledProcessError as error:
        raise ProgramError(last_error(error.stderr)) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(str(error)) from error
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise ProgramError(last_error(done.stderr)) from error


def last_error(stderr: str) -> str:
    """The last line that begins with the name of an error, else the last line; at most 300 characters."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["it says nothing"]
    errors = [line for line in lines if "Error" in line.split(":")[0].split(" ")[-1]]
    return (errors or lines)[-1][:300]


def locate(settings: TrainingRecipe) -> str:
    """The interpreter's path.

    Raises:
        TrainerError: there is none.
    """
    if not settings.python:
        return sys.executable
    path = Path(settings.python).expanduser()
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise TrainerError(f"There is no Python at {path}; correct training.python.")
    return str(path)


def check(python: str, variables: Mapping[str, str]) -> None:
    """Check that another interpreter has the trainer and this version of this package; the running one has.

    Raises:
        TrainerError: it cannot be run, lacks a package, or has another version of this one.
    """
    if python == sys.executable:
        return
    mend = f"install it with {python} -m pip install 'capcurriculum[train-gpu]=={__version__}'"
    try:
        version, absent = output_of([python, "-c", _VERSIONS], dict(variables) | _SAFE_PATH, seconds=_SECONDS)
    except ProgramError as error:
        raise TrainerError(f"{python} (training.python) cannot import this package ({error}); {mend}.") from error
    if absent:
        raise TrainerError(f"{python} (training.python) has no {' and no '.join(absent)}; {mend}.")
    if version != __version__:
        raise TrainerError(
            f"{python} (training.python) has version {version} of this package, and this is {__version__}; {mend}."
        )
