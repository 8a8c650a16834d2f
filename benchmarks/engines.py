"""The published sets in the engines that people train with, each in its own environment (`make engine-venvs`).

An engine is a line of `ENGINES`: a module that runs in its environment and prints JSON in its last line. `score` reads
replies as JSON lines (reply, ground_truth, options, kind) and prints a list of scores, null where the engine's reward
leaves one open. `train SET MODEL FOLDER` trains, or makes one full scoring pass, on the folder of a published set and
prints what it saw. `python -m benchmarks.engines` names the engines and every reply that is scored differently.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: its name, its environment's folder below the repository, and the module that runs there."""

    name: str
    environment: str
    module: str

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return ROOT / self.environment / "bin" / "python"

    def installed(self) -> bool:
        """Whether the environment was made to its end."""
        return (self.python.parents[1] / ".installed").is_file()


ENGINES = {
    "verl": Engine("verl", ".venv", "benchmarks.engine_verl"),
    "trl": Engine("TRL", ".venv-engine-trl", "benchmarks.engine_trl"),
    "nemo_gym": Engine("NeMo Gym", ".venv-engine-nemo_gym", "benchmarks.engine_nemo_gym"),
    "verifiers": Engine("verifiers", ".venv-engine-verifiers", "benchmarks.engine_verifiers"),
}


def ask(engine: Engine, *words: str, stdin: str = "") -> Any:
    """What the engine's module prints in its last line.

    Raises:
        RuntimeError: it failed; the text is the end of what it said.
    """
    variables = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [engine.python, "-m", engine.module, *words],
        input=stdin,
        capture_output=True,
        text=True,
        env=variables,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"{engine.name} {words[0]}: {done.stderr[-4000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
