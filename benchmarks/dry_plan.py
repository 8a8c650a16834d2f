"""`plan_without_weights_seconds`: `capcurriculum train --dry-run` of an 8B backbone whose weights are not there."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.support import training_data

_ROWS = 2000


def seconds() -> float:
    """The whole command, with three stages of 2,000 rows; its own process and imports included.

    Raises:
        subprocess.CalledProcessError: the plan was refused.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stages = ("perception", "text", "visual")
        for stage in stages:
            training_data.write_stage(folder / "runs" / "plan" / "stages", stage, train=_ROWS, val=64)
        wanted = {
            "name": "plan",
            "runs": str(folder / "runs"),
            "models": {"policy": {"engine": "transformers", "model": "micro:start"}},
            "rollouts": {"model": "policy"},
            "text": {"source": {"kind": "scenes"}},
            "training": {"backbone": "qwen3_vl_8b", "model": "no/such-8B", "stages": list(stages)},
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(wanted))
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "capcurriculum.cli", "train", str(folder / "recipe.yaml"), "--dry-run"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        took = time.perf_counter() - begun
        if done.returncode or "no/such-8B" not in done.stdout:
            raise ValueError((done.stdout + done.stderr)[-2000:])
        return took
