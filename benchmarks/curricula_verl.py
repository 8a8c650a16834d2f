"""Does the loop teach what verl teaches? One stage, 8 steps of perception rows, by both from the same start.

verl is driven as a user drives it (`capcurriculum build` and `train`), on rows written as a problem set with pictures
and options; the loop then takes the rows of verl's stage file in its order. Both are asked the same held-out rows.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import curricula_grpo as grpo
from benchmarks import curricula_policy, curricula_runs
from benchmarks.curricula_rows import VERSIONS, Task, rows
from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.stats import Gain, gain
from capcurriculum.tables import write_atomically
from datagen.micro.export import jpeg
from training import plan

STEPS, RATE, SEED = 8, 2e-4, 1
FILE = "against-verl.json"
_SPARE = 64  # rows beyond the steps' own, for validation


@dataclass(frozen=True, slots=True)
class Agreement:
    """Share right of the start on the held-out rows, each trainer's gain, and verl's gain less the loop's."""

    start: float
    verl: Gain
    loop: Gain
    difference: Gain


def compare(state: Path, start: Path) -> Agreement:
    """Train both, or read what was found before.

    Raises:
        SystemExit: a command failed; it has said why.
    """
    if (found := load(state)) is None:
        wanted, written = _recipe(state / "verl", start)
        for verb in ("build", "train"):
            code = subprocess.run([sys.executable, "-m", "capcurriculum.cli", verb, str(written)]).returncode
            if code:
                raise SystemExit(code)
        found = _measured(wanted, start)
        write_atomically(state / FILE, json.dumps(asdict(found)).encode())
    return found


def load(state: Path) -> Agreement | None:
    """What was found before; None if nothing was."""
    if not (state / FILE).is_file():
        return None
    data = json.loads((state / FILE).read_text(encoding="utf-8"))
    return Agreement(data["start"], *(Gain(**data[name]) for name in ("verl", "loop", "difference")))


def said(found: Agreement) -> str:
    """The finding in words."""
    agree = found.difference.low <= 0 <= found.difference.high
    return (
        f"**Against verl.** {STEPS} steps of {grpo.PROMPTS} x {grpo.REPLIES} on the same perception rows at a learning "
        f"rate of {RATE:g}; then {found.verl.rows} held-out rows (start {100 * found.start:.1f} % right). Gains in "
        f"points: verl {found.verl}, the loop {found.loop}, verl less the loop {found.difference}: "
        + ("the gains agree within noise." if agree else "the gains differ by more than noise.")
    )


def _tasks() -> list[Task]:
    return rows(VERSIONS[0], {"train": STEPS * grpo.PROMPTS + _SPARE})["train"]["perception"]


def _recipe(folder: Path, start: Path) -> tuple[Recipe, Path]:
    """Write the rows and the recipe that trains them; returns it and its file."""
    images = folder / "rows" / "images"
    images.mkdir(parents=True, exist_ok=True)
    lines = []
    for task in _tasks():
        (images / f"{task.name}.jpg").write_bytes(_picture(task))
        lines.append({"q": task.base, "o": task.options, "a": task.answer, "i": f"images/{task.name}.jpg"})
    (folder / "rows" / "problems.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    source = {
        "kind": "problems",
        "path": str((folder / "rows").absolute()),
        "source": "curricula",
        "license": "apache-2.0",
        "columns": {"problem": "q", "options": "o", "answer": "a", "image": "i", "answers": "letters"},
    }
    knobs = {"batch_size": grpo.PROMPTS, "mini_batch_size": grpo.PROMPTS, "rollouts": grpo.REPLIES, "max_steps": STEPS}
    batches = {"update_micro_batch": 64, "log_prob_micro_batch": 64, "learning_rate": RATE, "save_every": STEPS}
    data: dict[str, Any] = {
        "name": "against-verl",
        "runs": str(folder.absolute()),
        "models": {"policy": {"engine": "transformers", "model": str(start.absolute())}},
        "visual": {"source": source},
        "rollouts": {"model": "policy", "k": 2, "sampling": {"temperature": 1.0, "max_tokens": 96}},
        "filters": ["rollouts"],
        "split": {"val": 0.1, "test": 0.0},
        "training": {
            "backbone": "micro",
            "model": str(start.absolute()),
            "seed": SEED,
            "order": {"order": "merged"},
            "knobs": knobs | batches,
        },
    }
    file = folder / "recipe.yaml"
    wanted = recipe.parse(data, str(file))
    file.write_text(recipe.dump(wanted), encoding="utf-8")
    return wanted, file


def _picture(task: Task) -> bytes:
    assert task.scene is not None, "perception rows have pictures"
    return jpeg(task.scene)


def _measured(wanted: Recipe, start: Path) -> Agreement:
    stage = plan.load(wanted.training_dir / "plan.json")[-1]
    by_picture = {hashlib.sha256(_picture(task)).hexdigest(): task for task in _tasks()}
    files = sorted((wanted.run_dir / "curricula" / "merged" / "merged").glob("train-*.parquet"))
    pictures = pl.concat([pl.read_parquet(file, columns=["image_file_sha256"]) for file in files])["image_file_sha256"]
    taught = [by_picture[picture] for picture in pictures][: stage.total_steps * grpo.PROMPTS]
    of = curricula_policy.book(start)
    final = {"perception": rows(VERSIONS[0])["final"]["perception"]}
    _, loop = curricula_runs.train(start, of, [taught], RATE, SEED, {}, final)
    _, before = curricula_runs.train(start, of, [], RATE, SEED, {}, final)
    _, verl = curricula_runs.train(Path(stage.checkpoint), of, [], RATE, SEED, {}, final)
    return agreement(*(one.final["perception"].rates for one in (before, verl, loop)))


def agreement(before: Mapping[str, float], verl: Mapping[str, float], loop: Mapping[str, float]) -> Agreement:
    """From the share of right replies by row of the start and of both trained models."""
    start = sum(before.values()) / len(before)
    return Agreement(start, gain(before, verl), gain(before, loop), gain(loop, verl))
