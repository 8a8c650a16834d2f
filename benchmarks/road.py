"""The data build of the demo recipe with its real models: how long it takes, and what is left of it after kills."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from capcurriculum import recipe
from capcurriculum.rows import LETTERS, Question
from capcurriculum.run import Run
from datagen.micro import captions, questions

DEMO = Path(__file__).parent.parent / "curricula" / "recipes" / "demo.yaml"
TABLES = ("captions", "attempts", "questions", "answers", "verdicts")
KILLS = 10
SEED = 17


def build_seconds() -> float:
    """Wall time of one build of the demo recipe (1,300 captions, 960 problems), model loading included."""
    with recipe_named("once") as (file, _):
        begun = time.perf_counter()
        subprocess.run(command(file), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begun


def true_keys() -> float:
    """Share of the demo's perception questions whose marked answer is true to the caption they were written from."""
    with recipe_named("keys") as (file, run):
        subprocess.run(command(file), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        asked = [q for q in run.questions.rows() if q.stage == "perception"]
        kept = {v.question_id for v in run.verdicts.rows() if v.filter == "perception" and v.keep}
        right = {q.question_id for q in asked if _true(q)}
    print(f"{len(right)} of {len(asked)} keys are true to the caption, {len(right & kept)} of the {len(kept)} kept")
    return len(right) / len(asked)


def _true(question: Question) -> bool:
    gold = questions.gold(captions.read(question.caption), question.problem.splitlines()[0])
    return question.options[LETTERS.index(question.answer)] == gold


def kill_differences() -> float:
    """Rows that differ between an undisturbed build and one killed (-9) at ten random moments and run again each time.

    Each kill comes after 2 to 40 % of the undisturbed build's duration, so that ten of them fall into all its steps.
    """
    moments = random.Random(SEED)
    with recipe_named("clean") as (file, clean), recipe_named("killed") as (killed_file, killed):
        begun = time.perf_counter()
        subprocess.run(command(file), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        whole = time.perf_counter() - begun
        for _ in range(KILLS):
            _kill_after(killed_file, moments.uniform(0.02, 0.4) * whole)
        subprocess.run(command(killed_file), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return float(_differing_rows(clean, killed))


def _kill_after(file: Path, seconds: float) -> None:
    """Start a build, or go on with it, and kill its whole group unless it ends before."""
    process = subprocess.Popen(
        command(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _differing_rows(one: Run, two: Run) -> int:
    """Rows in one and not in the other, duplicates counted, over all tables and stage files."""
    differing = 0
    for name in TABLES:
        rows = [sorted(json.dumps(r) for r in getattr(run, name).frame().to_dicts()) for run in (one, two)]
        differing += abs(len(rows[0]) - len(rows[1])) + len(set(rows[0]) ^ set(rows[1]))
    for path in sorted(one.stages.glob("*/*.parquet")):
        tables = [pq.read_table(run.stages / path.relative_to(one.stages)).to_pylist() for run in (one, two)]
        differing += sum(a != b for a, b in zip(*tables, strict=False)) + abs(len(tables[0]) - len(tables[1]))
    return differing


@contextmanager
def recipe_named(name: str, changes: Mapping[str, object] | None = None) -> Iterator[tuple[Path, Run]]:
    """The demo recipe under another name in a folder of its own, changed if wanted, and the run it will make."""
    with tempfile.TemporaryDirectory() as folder:
        changed = recipe.load(DEMO).model_copy(update={"name": name, "runs": folder, **(changes or {})})
        file = Path(folder) / f"{name}.yaml"
        file.write_text(recipe.dump(changed), encoding="utf-8")
        yield file, Run(changed.run_dir)


def command(file: Path) -> list[str]:
    return [sys.executable, "-m", "capcurriculum.cli", "build", str(file)]
