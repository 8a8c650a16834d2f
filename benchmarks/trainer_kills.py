"""kill -9 of the trainer at a random step of every stage: `python -m benchmarks.trainer_kills`, half an hour.

A chain of three stages of the micro model is trained by `capcurriculum train` with verl. In each stage the trainer's
own process is killed at a random moment after a random step, and the same command is given again. What is counted are
steps that are missing or doubled at the end, stages that began anew instead of going on from their last checkpoint, and
processes that a kill left behind; all of it has to be none.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from curricula.build import build
from training import plan
from training.checkpoints import export
from training.supervise import curves, metrics, processes

DEMO = Path(__file__).parent.parent / "curricula" / "recipes" / "demo.yaml"
STEPS, SAVE_EVERY = 5, 2
TRAINER = b"verl.trainer.main_ppo"
SEED = 5


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: after which step it came, which checkpoint was there, and what the plan said then."""

    stage: str
    step: int
    saved: int
    said: str


def lost_steps() -> float:
    """Steps missing or doubled, restarts from nothing and processes left, over one kill in every stage."""
    with tempfile.TemporaryDirectory() as folder:
        return float(sum(measured(Path(folder)).values()))


def measured(folder: Path, seed: int = SEED) -> dict[str, int]:
    """What went wrong, by kind."""
    wanted, file = _recipe(folder)
    build(wanted, Display())
    random_moment = random.Random(seed)
    names = [run.stage for run in wanted.training.stages] if wanted.training else []
    wrong = {"steps missing or doubled": 0, "stages begun anew": 0, "processes left": 0}
    kills = []
    for stage in names:
        kill, left = _killed(wanted, file, stage, random_moment)
        kills.append(kill)
        wrong["processes left"] += left
        print(
            f"{stage}: killed after step {kill.step}, checkpoint {kill.saved}; the plan says: {kill.said}", flush=True
        )
    subprocess.run(_command(file), check=True)
    steps = metrics.load(wanted.training_dir / curves.METRICS)
    for kill, one in zip(kills, plan.load(wanted.training_dir / "plan.json"), strict=True):
        own = steps.filter(steps["stage"] == kill.stage).sort("step")
        there = own["step"].to_list()
        wrong["steps missing or doubled"] += len(set(range(1, STEPS + 1)) ^ set(there)) + len(there) - len(set(there))
        last = [int(step) for step in own.filter(own["attempt"] == one.attempts)["step"]]
        wrong["stages begun anew"] += int(last[:1] != [kill.saved + 1])
        print(f"{kill.stage}: {one.state}, {one.attempts} attempts, the last with steps {last}", flush=True)
    return wrong


def _recipe(folder: Path) -> tuple[Recipe, Path]:
    """The demo with short stages that are saved every other step."""
    data = recipe.load(DEMO).model_dump(mode="json")
    data |= {"name": "kills", "runs": str(folder)}
    knobs = {"batch_size": 4, "mini_batch_size": 4, "rollouts": 2, "update_micro_batch": 8, "log_prob_micro_batch": 8}
    knobs |= {"epochs": STEPS, "max_steps": STEPS, "save_every": SAVE_EVERY, "validate_every": 0}
    data["training"]["knobs"] |= knobs
    data["training"] |= {"validate_on": "own"}
    data["training"]["stages"] = [{"stage": stage} for stage in ("perception", "text", "visual")]
    file = folder / "kills.yaml"
    file.write_text(recipe.dump(recipe.parse(data, "kills")), encoding="utf-8")
    return recipe.load(file), file


def _killed(wanted: Recipe, file: Path, stage: str, random_moment: random.Random) -> tuple[Kill, int]:
    """Train until the stage is at a random step, kill its trainer, and see what is left."""
    folder = wanted.training_dir.absolute() / stage
    step = random_moment.randrange(1, STEPS)
    with _training(file) as process:
        while not _reached(wanted, stage, step):
            if process.poll() is not None:
                raise RuntimeError(f"the training ended with code {process.returncode} before step {step} of {stage}")
            time.sleep(0.05)
        time.sleep(random_moment.uniform(0, 3))
        for pid in _trainers(folder):
            os.kill(pid, signal.SIGKILL)
        process.wait(120)
    found = next(one for one in plan.load(wanted.training_dir / "plan.json") if one.stage == stage)
    left = len(processes.belonging(folder))
    return Kill(stage, step, export.last_step(folder / "trainer"), f"{found.state}, {found.error}"), left


def _reached(wanted: Recipe, stage: str, step: int) -> bool:
    steps = metrics.load(wanted.training_dir / curves.METRICS)
    return bool(((steps["stage"] == stage) & (steps["step"] >= step)).any())


def _trainers(folder: Path) -> Iterator[int]:
    for pid in processes.belonging(folder):
        if TRAINER in Path(f"/proc/{pid}/cmdline").read_bytes():
            yield pid


@contextmanager
def _training(file: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(_command(file)) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def _command(file: Path) -> list[str]:
    return [sys.executable, "-m", "capcurriculum.cli", "train", str(file)]


def main() -> None:
    """Measure, and print what went wrong by kind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer_kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of the random moments")
    parser.add_argument("--keep", type=Path, help="a folder for the run, which is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        print(json.dumps(measured(arguments.keep or Path(own), arguments.seed)))


if __name__ == "__main__":
    main()
