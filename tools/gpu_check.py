"""What `gpu_check.sh` runs: each check in a process of its own, its output in a file, its verdict in a table.

With `--device cpu` the same road is taken with what a CPU has, which is how it is tested.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

_SECONDS = 420
#: The largest mean difference of log-probabilities between trainer and rollout that bfloat16 explains.
_GAP = 0.05


class CheckError(Exception):
    """A check found something; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where the check works, and on what."""

    folder: Path
    device: str

    def run(self, name: str, *command: str) -> str:
        """Run a command, keep what it prints in `<name>.log`, and return that.

        Raises:
            CheckError: it failed, or took too long.
        """
        log = self.folder / f"{name}.log"
        with log.open("w") as out:
            try:
                done = subprocess.run(
                    command, stdout=out, stderr=subprocess.STDOUT, timeout=_SECONDS, env=self._environment()
                )
            except subprocess.TimeoutExpired as error:
                raise CheckError(f"no end after {_SECONDS} s; see {log}") from error
        text = log.read_text(errors="replace")
        if done.returncode:
            lines = [line for line in text.splitlines() if line.strip()] or ["it said nothing"]
            named = [line for line in lines if "Error" in line]
            raise CheckError(f"{(named or lines)[-1].strip()[:240]}; see {log}")
        return text

    @staticmethod
    def _environment() -> dict[str, str]:
        return dict(os.environ) | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def tool(self, name: str, *words: str) -> str:
        """Run one of the functions below `_PARTS` in a process of its own."""
        return self.run(
            name, sys.executable, "-m", "tools.gpu_check_parts", name, str(self.folder), self.device, *words
        )

    def capcurriculum(self, name: str, *words: str) -> str:
        """Run a verb."""
        return self.run(name, sys.executable, "-m", "capcurriculum.cli", *words)


def imports(here: Here) -> str:
    """The libraries load, and driver, CUDA, GPU and memory fit."""
    return here.tool("imports").strip().splitlines()[-1]


def attention(here: Here) -> str:
    """A random Qwen3-VL of two layers gives the same log-probabilities with flash attention as without."""
    return here.tool("attention").strip().splitlines()[-1]


def rollouts(here: Here) -> str:
    """The same model answers in vLLM."""
    return here.tool("rollouts").strip().splitlines()[-1]


def build(here: Here) -> str:
    """Three small sets, whose rollouts vLLM answers with the micro models."""
    engine = "vllm" if here.device == "cuda" else "transformers"
    policy: dict[str, object] = {"engine": engine, "model": "micro:hedging"}
    if engine == "vllm":
        policy |= {"vllm": {"gpu_memory_utilization": 0.3, "max_model_len": 1024}}
    (here.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(here, policy)))
    here.capcurriculum("build", "build", str(here.folder / "recipe.yaml"))
    return "see build.log for the counts"


def recipe(here: Here, policy: dict[str, object]) -> dict[str, object]:
    """A demo of the smallest size; the second of its two stages freezes the vision tower."""
    knobs = {"max_steps": 2, "batch_size": 8, "mini_batch_size": 8, "rollouts": 5, "learning_rate": 2.0e-4}
    backbone = "micro_gpu" if here.device == "cuda" else "micro"
    source = {"kind": "scenes", "license": "apache-2.0"}
    return {
        "name": "gpu_check",
        "runs": str(here.folder / "runs"),
        "models": {"teacher": {"engine": "transformers", "model": "micro:solver_b"}, "policy": policy},
        "perception": {
            "source": source | {"items": 140, "seed": 1, "source": "scenes"},
            "teacher": {"model": "teacher", "sampling": {"temperature": 0.3, "max_tokens": 160}},
            "probe": {"solvers": ["policy"], "sampling": {"temperature": 1.0, "max_tokens": 96}},
        },
        "visual": {"source": source | {"items": 60, "seed": 2, "source": "scenes-visual"}},
        "rollouts": {"model": "policy", "k": 4, "sampling": {"temperature": 1.0, "max_tokens": 96}},
        "split": {"val": 0.1, "test": 0.1},
        "training": {
            "backbone": backbone,
            "model": "micro:hedging",
            "knobs": knobs,
            "stages": ["perception", {"stage": "visual", "knobs": {"freeze": "vision"}}],
        },
    }


def train(here: Here) -> str:
    """Two GRPO steps with everything trained, then two with the vision tower frozen, whose bits are compared."""
    here.capcurriculum("train", "train", str(here.folder / "recipe.yaml"))
    gaps = []
    for log in sorted((here.folder / "runs/gpu_check/training").glob("*/verl-metrics.jsonl")):
        for line in log.read_text().splitlines():
            said = json.loads(line)
            gaps += [
                value for key, value in said.get("data", said).items() if key == "training/rollout_probs_diff_mean"
            ]
    if not gaps:
        return "four steps; verl does not say how far trainer and rollout are apart"
    if max(gaps) > _GAP:
        raise CheckError(
            f"probabilities of trainer and rollout differ by {max(gaps):.3f} on the mean, more than {_GAP}"
        )
    return f"four steps; probabilities of trainer and rollout differ by at most {max(gaps):.4f} on the mean"


CHECKS: Sequence[Callable[[Here], str]] = (imports, attention, rollouts, build, train)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks, the later ones also where an earlier one failed."""
    parser = argparse.ArgumentParser(prog="tools/gpu_check.sh", description="Try on one GPU what no CPU can.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--folder", type=Path, help="where logs and the run go (default: a new temporary folder)")
    options = parser.parse_args(argv)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gpu-check-"))
    folder.mkdir(parents=True, exist_ok=True)
    here, out = Here(folder.absolute(), options.device), Console()
    table = Table("check", "", "s", "what was seen", title=f"GPU check, {options.device}", box=None)
    failed = 0
    for check in CHECKS:
        out.print(f"{check.__name__} ...", highlight=False)
        begun = time.monotonic()
        try:
            verdict, text = "ok", check(here)
        except CheckError as error:
            verdict, text, failed = "FAILED", str(error), failed + 1
        table.add_row(check.__name__, verdict, f"{time.monotonic() - begun:.0f}", text)
    out.print(table, markup=False)
    out.print(f"{failed} of {len(CHECKS)} failed." if failed else f"All {len(CHECKS)} passed.", highlight=False)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
