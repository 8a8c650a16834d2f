"""lmms-eval: what it is told, and itself in its own environment against an endpoint on loopback."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from capcurriculum import prompts
from capcurriculum.render.progress import Display
from evaluation import kits, suites
from evaluation.benchmarks.images import ImageStore
from evaluation.job import Job
from evaluation.kits import Kit
from evaluation.lmmseval import run
from evaluation.lmmseval.session import LAYOUTS, Session
from evaluation.results import results, samples
from evaluation.serving.models import Target
from tests.support import ROOT
from tests.support.endpoint import Endpoint, serving, status
from tests.support.evaluating import evaluate, line, tsv

PYTHON = ROOT / kits.DEFAULT


def installed() -> bool:
    script = "import importlib.util as u, sys; sys.exit(u.find_spec('lmms_eval') is None)"
    return PYTHON.is_file() and subprocess.run([PYTHON, "-c", script]).returncode == 0


def test_a_file_becomes_a_task_with_the_prompt_of_training(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(0), line(1, image="broken" * 20), line(2)])
    job = Job(tmp_path / "out", suites.load(str(file)), Display())
    task = run._task(job.suite.benchmarks[0], job, ImageStore(job.folder))
    session = Session(Kit("lmms-eval", sys.executable, "0.7.3"), Target("M", "x"), 64, "setup", tmp_path / "kit", 4)
    session.write(task, job.folder)
    rows = pl.read_parquet(tmp_path / "kit" / "tasks" / f"{task.name}.parquet").to_dicts()
    assert task.benchmark is not None
    assert [row["problem"] for row in rows] == [i.problem for i in task.benchmark.items if not i.fault]
    text = (tmp_path / "kit" / "tasks" / f"{task.name}.yaml").read_text()
    told = yaml.safe_load(text.replace("!function ", ""))
    assert (told["task"], told["generation_kwargs"]["max_new_tokens"]) == (task.name, 64)
    words = session.command(task, "http://127.0.0.1:5/v1", "served")
    assert "model=served,base_url=http://127.0.0.1:5/v1,num_concurrent=4" in words[words.index("--model_args") + 1]
    assert words[words.index("--tasks") + 1] == task.name
    assert session.system == prompts.system()


def test_only_tasks_that_it_grades_itself_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = {entry.lmms for name in suites.BUILT_IN for entry in suites.load(name).benchmarks} - {""}
    assert named == set(LAYOUTS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not installed(), reason="lmms-eval is not installed here; `make eval-venv` does it")
def test_it_asks_grades_and_says_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(8)])
    out = tmp_path / "out"

    def refuses(handler: Any) -> bool:
        return "is number 3?" in json.dumps(handler.body) and status(400)(handler)

    with serving(Endpoint(always=refuses, image_right=0.6)) as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(out), "--engine", "lmms-eval",
                 "--python", str(PYTHON), "--concurrency", "1"]  # fmt: skip
        assert evaluate(*words) == 2
        assert "incomplete" in capsys.readouterr().err
        assert results.scores_in(out) == []
        assert Counter(one.outcome for one in samples.samples(out))["failed"] == 1
        endpoint.always = None
        assert evaluate(*words) == 0
        asked = Counter(json.dumps(body["messages"]) for body in endpoint.requests)
        assert sorted(asked.values()) == [1] * 7 + [3]  # lmms-eval tries twice, and then the one that had failed
        assert endpoint.requests[-1]["messages"][0] == {"role": "system", "content": prompts.system()}
    [score] = results.scores_in(out)
    found = samples.samples(out)
    assert (score.samples, score.failed, score.engine, score.judge) == (8, 0, "lmms-eval", "")
    assert score.right == sum(one.outcome == "right" for one in found)
    assert {one.tokens for one in found} == {5}
    assert all(one.images for one in found)
