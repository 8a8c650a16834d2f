"""The Python that the trainer runs in: this one, or that of an environment of its own (`training.python`).

The other environment holds the trainer and this package, of which verl's processes need the reward, the pixel limits
and the frozen weights. Whether it does is asked before anything is started there.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from capcurriculum import __version__
from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import TrainingRecipe

_ASK = (
    "import json, importlib.util, capcurriculum, training.reward;"
    "print(json.dumps([capcurriculum.__version__, [n for n in ('verl', 'torch') if not importlib.util.find_spec(n)]]))"
)
_SECONDS = 300
#: The folder that the command is given in is none to import from.
_ASKED = {"PYTHONSAFEPATH": "1"}


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
    """See that another interpreter has what a trainer needs; this one is known to.

    Raises:
        TrainerError: it lacks a package, or has another version of this one.
    """
    if python == sys.executable:
        return
    mend = f"install it with {python} -m pip install 'capcurriculum[train-gpu]=={__version__}'"
    try:
        done = subprocess.run(
            [python, "-c", _ASK], env=dict(variables) | _ASKED, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainerError(f"{python} (training.python) does not answer: {error}; correct training.python.") from error
    if done.returncode != 0 or not done.stdout.strip():
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise TrainerError(f"{python} (training.python) cannot import this package ({said}); {mend}.")
    version, absent = json.loads(done.stdout.strip().splitlines()[-1])
    if absent:
        raise TrainerError(f"{python} (training.python) has no {' and no '.join(absent)}; {mend}.")
    if version != __version__:
        raise TrainerError(
            f"{python} (training.python) has version {version} of this package, and this is {__version__}; {mend}."
        )
