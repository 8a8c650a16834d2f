"""`make demo` as a newcomer runs it: in a fresh copy of the repository, with its install, run once for all numbers.

The numbers are those that the demo itself prints at its end: gains of the last model over its start on questions that
no training row shows, the lower ends of their 95 % intervals, and the largest loss of a stage on another stage's rows.
"""

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capcurriculum.stats import gain
from evaluation import heldout_table
from evaluation.results import results
from evaluation.results.results import HeldOut
from training import plan

ROOT = Path(__file__).parent.parent
_PART = re.compile(r"^-- (.+): ([0-9.]+) min$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Demo:
    """Minutes in all, and what was measured of each model, the start first."""

    minutes: float
    scores: tuple[HeldOut, ...]


@cache
def demo() -> Demo:
    """One run; prints what each part took and the demo's last lines, and keeps its picture for the README."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "capcurriculum"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        begun = time.monotonic()
        done = subprocess.run(["make", "demo"], cwd=copy, check=True, stdout=subprocess.PIPE, text=True)
        minutes = (time.monotonic() - begun) / 60
        print(done.stdout[done.stdout.rfind("\nafter ") :])
        print(", ".join(f"{name} {value}" for name, value in _PART.findall(done.stdout)), f"in all {minutes:.1f} min")
        run = copy / "runs" / "demo"
        shutil.copy(run / "training" / "heldout.svg", ROOT / "docs" / "demo.svg")
        trained = [f"after {stage.stage}" for stage in plan.load(run / "training" / "plan.json")]
        scores = results.held_out(run)
        return Demo(minutes, tuple(one for name in ("start", *trained) for one in scores if one.model == name))


def minutes() -> float:
    """Install, build, training and measuring, on this machine."""
    return demo().minutes


def gain_low(stage: str) -> float:
    """Lower end of the 95 % interval of the last model's gain over the start on the stage's held-out rows, a share."""
    own = [one for one in demo().scores if one.stage == stage]
    return gain(own[0].rates, own[-1].rates).low


def worst_loss() -> float:
    """The largest loss (or least gain) of a stage on another stage's held-out rows, a share."""
    found = heldout_table.worst_loss(demo().scores)
    if found is None:
        raise ValueError("the demo has one stage only")
    return found.mean
