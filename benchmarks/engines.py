"""The published sets in the engines that people train with, each in its own environment (`make engine-venvs`).

An engine is a line of `ENGINES`: a module that runs in its environment and prints JSON in its last line. `score` reads
replies as JSON lines (reply, ground_truth, options, kind) and prints a list of scores, null where the engine's reward
leaves one open. `train SET MODEL FOLDER` trains, or makes one full scoring pass, on the folder of a published set and
prints what it saw. `python -m benchmarks.engines` names the engines and every reply that is scored differently.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks import engine_replies
from datagen import micro

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
    "verifiers": Engine("verifiers", ".venv-engine-verifiers", "benchmarks.engine_verifiers"),
}
#: Engines without a list of packages, whose environment is made by hand (docs/engines.md); they count where they are.
BY_HAND = {"nemo_gym": Engine("NeMo Gym", ".venv-engine-nemo_gym", "benchmarks.engine_nemo_gym")}


NAMES = ", ".join(engine.name for engine in ENGINES.values())
#: What is trained: by greedy answers right, at temperature 1 half of the time, so that a group's rewards differ.
MODEL = "hedging"


def same_scores() -> float | None:
    """The share of the replies that all installed engines score alike; None where there is only one."""
    found = list(scores().values())
    if len(found) < 2:
        return None
    return sum(len(set(row)) == 1 for row in zip(*found, strict=True)) / len(found[0])


def trained() -> float:
    """In how many engines a set that this package built was trained on, or scored whole, to the end."""
    return float(sum(one["steps"] >= 2 for one in trainings().values()))


@cache
def scores() -> dict[str, list[float | None]]:
    """The scores of the replies in each installed engine."""
    replies = engine_replies.lines()
    return {name: ask(one, "score", stdin=replies) for name, one in (ENGINES | BY_HAND).items() if one.installed()}


@cache
def trainings() -> dict[str, dict[str, Any]]:
    """What each installed engine says of a training on the merged set of a small run."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        files = build(Path(name))
        for engine in (ENGINES | BY_HAND).values():
            if engine.installed():
                words = (str(files), str(micro.checkpoint(MODEL)), f"{name}/{engine.module}")
                found[engine.name] = ask(engine, "train", *words)
    return found


def build(root: Path) -> Path:
    """The file of a merged set, half of whose 24 rows have a picture, of a run of the embedded world below `root`."""
    scenes = {"kind": "scenes", "items": 12, "source": "scenes", "license": "apache-2.0"}
    recipe = {
        "name": "engines",
        "runs": str(root / "runs"),
        "models": {"policy": {"engine": "transformers", "model": f"micro:{MODEL}"}},
        "text": {"source": scenes | {"seed": 2}},
        "visual": {"source": scenes | {"seed": 3}},
        "rollouts": {"model": "policy", "k": 2, "sampling": {"temperature": 1.0, "max_tokens": 64}},
        "split": {"val": 0, "test": 0},
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "capcurriculum.cli"]
    subprocess.run([*command, "build", root / "recipe.yaml"], check=True, capture_output=True)
    run = root / "runs" / "engines"
    subprocess.run([*command, "curriculum", run, "--order", "merged"], check=True, capture_output=True)
    return run / "curricula" / "merged" / "merged" / "train-00000-of-00001.parquet"


def ask(engine: Engine, *words: str, stdin: str = "", ranks: int = 1) -> Any:
    """What the engine's module prints in its last line; with `ranks` as many processes of torch's run it together.

    Raises:
        RuntimeError: it failed; the text is the end of what it said.
    """
    variables = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={ranks}"]
    command = [engine.python, *(launcher if ranks > 1 else ()), "-m", engine.module, *words]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=variables, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{engine.name} {words[0]}: {done.stderr[-4000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Print what trained, and the replies that engines score differently."""
    found = scores()
    rows = list(zip(*found.values(), strict=True))
    for line, row in zip(engine_replies.lines().splitlines(), rows, strict=True):
        if len(set(row)) > 1:
            print(dict(zip(found, row, strict=True)), line)
    print(f"{len(rows)} replies, {same_scores()} scored alike by {', '.join(found)}")
    for name, one in trainings().items():
        print(name, json.dumps(one))


if __name__ == "__main__":
    main()
