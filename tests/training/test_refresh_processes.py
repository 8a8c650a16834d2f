"""A refresh with its own processes and models: killed in its midst, and between two stages that verl trains."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from capcurriculum.ledger.why import life
from capcurriculum.recipe import Recipe, dump
from capcurriculum.run import Run
from tests.support import training_data
from tests.support.installed import needs
from training import chain
from training.supervise import curves, metrics, processes

pytestmark = pytest.mark.slow
needs("verl", extra="train")

#: Trains what lies in a folder, with a stand-in for verl.
SCRIPT = """
import sys
from pathlib import Path
from tests.training import test_refresh_processes as test
from tests.training.test_chain import stand_in
from training import chain
from training.checkpoints import export
from training.supervise import supervisor
if __name__ == "__main__":
    export._verify = lambda *arguments: "A"
    supervisor.run = stand_in()
    chain.train(test.first_alone(Path(sys.argv[1])))
"""
MODEL = {"m": {"engine": "transformers", "model": "micro:hedging"}}


def first_alone(root: Path) -> Recipe:
    """One stage, whose rows the first parent answers."""
    knobs = {"max_steps": 2, "batch_size": 4, "mini_batch_size": 4, "log_prob_micro_batch": 20}
    settings = {"model": "micro:hedging", "stages": ["perception"], "refresh": {"stages": ["perception"]}}
    return training_data.recipe(root, {**settings, "knobs": {**knobs, "update_micro_batch": 20}}, models=MODEL)


def started(root: Path) -> "subprocess.Popen[bytes]":
    training_data.write_stage(root / "runs/demo/stages", "perception", train=32)
    script = root / "script.py"
    script.write_text(SCRIPT)
    folder = str(Path(chain.__file__).parents[1])
    variables = dict(os.environ) | {"OMP_NUM_THREADS": "1", "PYTHONPATH": folder}
    return subprocess.Popen([sys.executable, str(script), str(root)], env=variables, stderr=subprocess.PIPE)


def made(root: Path) -> tuple[list[str], list[Any]]:
    """The refreshed rows in their order, and every reply."""
    files = pl.read_parquet(root / "runs/demo/training/perception/refresh/train-*.parquet")
    answers = Run(root / "runs/demo").answers.frame("question_id", "rollout", "text", "outcome").sort(pl.all())
    return files["question_id"].to_list(), answers.rows()


@pytest.mark.timeout(600)
def test_a_kill_in_the_midst_leaves_no_process_and_changes_nothing(tmp_path: Path) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for root in (killed, undisturbed):
        root.mkdir()
    process = started(killed)
    answers = killed / "runs/demo/answers"
    deadline = time.monotonic() + 300
    while not any(path.stat().st_size for path in answers.glob("*.*")):
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = killed / "runs/demo/training/perception/refresh"
    while processes.belonging(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not folder.exists()
    for root in (killed, undisturbed):
        again = started(root)
        said = again.communicate()[1].decode()
        assert again.returncode == 0, said
    names, replies = made(killed)
    assert (names, replies) == made(undisturbed)
    assert len({(name, rollout) for name, rollout, *_ in replies}) == len(replies)  # nothing was asked twice


@pytest.mark.timeout(3600)
def test_a_stage_is_trained_on_what_the_checkpoint_before_it_neither_always_nor_never_gets_right(
    tmp_path: Path,
) -> None:
    for stage, rows in (("text", 8), ("perception", 40)):
        training_data.write_stage(tmp_path / "runs/demo/stages", stage, train=rows)
    knobs = {"max_steps": 1, "max_response_tokens": 48, "save_every": 1}
    settings = {"model": "micro:hedging", "stages": ["text", "perception"], "refresh": {"k": 8}, "knobs": knobs}
    recipe = training_data.recipe(tmp_path, settings, models=MODEL)
    (tmp_path / "runs/demo/recipe.yaml").write_text(dump(recipe))
    chain.train(recipe)
    first, second = json.loads((tmp_path / "runs/demo/training/plan.json").read_text())["stages"]
    assert (first["state"], second["state"]) == ("done", "done")
    assert second["refreshed_by"].startswith(f"training/text@{first['checkpoint_digest']}-")
    assert 8 <= second["rows"] < second["refresh_rows"] == 40
    run = Run(tmp_path / "runs/demo")
    rates: dict[str, list[str]] = {}
    for answer in run.answers.rows():
        rates.setdefault(answer.question_id, []).append(answer.outcome)
    trained = pl.read_parquet(tmp_path / "runs/demo/training/perception/refresh/train-*.parquet")["question_id"]
    assert all({"right", "wrong"} <= set(rates[name]) for name in trained)
    assert second["refresh_rollouts"] == sum(map(len, rates.values()))
    steps = metrics.load(tmp_path / "runs/demo/training" / curves.METRICS)
    assert curves.refreshed(steps) == {"perception": second["rows"] / 40}
    assert "reward/flat" in steps.columns
    told = list(life(run, trained[0]))
    assert f"pass rate of {trained[0]} under {second['refreshed_by']}" in "\n".join(told)
