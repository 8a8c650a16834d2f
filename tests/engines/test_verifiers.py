"""The environment of a run in verifiers, in its own environment: installed, validated, and one whole scoring pass."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines import ENGINES, ask
from capcurriculum import __version__, prompts
from capcurriculum.engines.source import Source, StageFiles
from capcurriculum.reward import compute_score
from cards.environment import write
from tests.support import ROOT, endpoint, training_data
from tests.support.engines import needs

pytestmark = needs("verifiers")
ENGINE = ENGINES["verifiers"]
STAGES, ROWS = ("perception", "text", "visual"), 8
ID = "capcurriculum-demo"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of three stages and this project, as pip installs them."""
    folder = tmp_path_factory.mktemp("environment")
    stages = tuple(_stage(folder / "stages", name) for name in STAGES)
    write.write(folder / "package", Source(name="demo", capcurriculum=__version__, stages=stages))
    words = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", folder / "site"]
    subprocess.run([ENGINE.python, "-m", "pip", "install", *words, ROOT, folder / "package"], check=True, cwd=folder)
    return folder / "site"


def _stage(folder: Path, name: str) -> StageFiles:
    below = training_data.write_stage(folder, name, train=ROWS, val=2)
    files: Any = {split: (f"{split}-00000-of-00001.parquet",) for split in ("train", "val")}
    return StageFiles(name=name, folder=str(below), files=files)


def called(site: Path, program: str, *words: str) -> str:
    """What a program of verifiers prints; it runs beside `site`, where no other copy of this project is."""
    variables = {"PYTHONPATH": str(site), "HOME": str(site.parent), "KEY": "none", "OMP_NUM_THREADS": "1"}
    command = [ENGINE.python.with_name(program), ID, *words]
    done = subprocess.run(command, env=variables, cwd=site.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def evaluated(site: Path, server: endpoint.Endpoint, name: str, *words: str) -> list[dict[str, Any]]:
    """The traces of an evaluation, in the order of the tasks."""
    where = ["--client.base-url", server.url, "--client.api-key-var", "KEY", "-m", "m", "-o", "out", "--run.name", name]
    called(site, "vf-eval", *where, "--no-push", "--no-rich", *words)
    lines = (site.parent / "out" / name / "traces.jsonl").read_text().splitlines()
    traces = [trace for line in lines for trace in json.loads(line)["traces"]]
    return sorted(traces, key=lambda trace: trace["task"]["data"]["idx"])


@pytest.fixture(scope="module")
def server() -> Iterator[endpoint.Endpoint]:
    with endpoint.serving(endpoint.Endpoint(always=endpoint.saying(r"<think>I see.</think> \boxed{B}"))) as made:
        yield made


def test_verifiers_and_verl_score_a_reply_alike() -> None:
    row = {"reply": r"<think>So.</think> \boxed{a dog}", "ground_truth": "B", "options": ["a cat", "a dog"], "kind": ""}
    line = json.dumps(row) + "\n"
    assert ask(ENGINE, "score", stdin=line) == ask(ENGINES["verl"], "score", stdin=line) == [1.0]


def test_its_own_validate_finds_every_gold_answer_worth_1(site: Path) -> None:
    said = called(site, "vf-validate", "--runtime.type", "subprocess", "--rich", "false", "-o", "validated")
    summary = json.loads(said[said.index("{") :])
    assert summary["valid_rate"] == 1.0
    assert {check: found["valid"] for check, found in summary["checks"].items()} == {"gold": 24, "noop": 24}


def test_one_pass_over_all_rows_shows_the_pictures_and_scores_as_training_does(
    site: Path, server: endpoint.Endpoint
) -> None:
    traces = evaluated(site, server, "all")
    assert [trace["task"]["data"]["id"] for trace in traces] == [
        f"{stage}-train-{number}" for stage in STAGES for number in range(ROWS)
    ]
    for trace in traces:
        stage, _, number = trace["task"]["data"]["id"].split("-")
        row: Any = training_data.row(stage, int(number), "train")
        wanted = compute_score("", r"<think>I see.</think> \boxed{B}", row["answer"], row["extra_info"])
        assert trace["ok"]
        assert trace["rewards"]["reward"]["score"] == wanted["score"]
        assert trace["metrics"] == {
            "accuracy": wanted["accuracy"], "format": wanted["format"],
            "unparsed": float(wanted["outcome"] == "unparsed"),
        }  # fmt: skip
    shown = [request["messages"] for request in server.requests]
    assert {messages[0]["content"] for messages in shown} == {prompts.system()}
    pictures = [part for messages in shown for part in messages[1]["content"] if part["type"] == "image_url"]
    assert len(pictures) == 2 * ROWS
    assert all(part["image_url"]["url"].startswith("data:image/png;base64,") for part in pictures)
    assert "<image>" not in json.dumps(shown)


def test_a_stage_and_a_split_alone(site: Path, server: endpoint.Endpoint) -> None:
    traces = evaluated(site, server, "some", "--env.taskset.stage", "visual", "--env.taskset.split", "val")
    assert [trace["task"]["data"]["id"] for trace in traces] == ["visual-val-0", "visual-val-1"]


def test_a_grader_that_fails_is_an_error_and_no_reward(site: Path, server: endpoint.Endpoint, tmp_path: Path) -> None:
    broken = "import capcurriculum.engines.scoring as scoring\n" \
        "scoring.compute_score = lambda *given: {'score': 0.0, 'outcome': 'failed'}\n"  # fmt: skip
    (site / "sitecustomize.py").write_text(broken)
    try:
        words = ["--env.taskset.stage", "text", "--env.taskset.split", "val"]
        traces = evaluated(site, server, "failed", *words)
    finally:
        (site / "sitecustomize.py").unlink()
    assert [trace["ok"] for trace in traces] == [False, False]
    assert {trace["errors"][-1]["type"] for trace in traces} == {"TaskError"}
    assert all("its reward is unknown" in trace["errors"][-1]["message"] for trace in traces)
    assert {trace["rewards"]["reward"] for trace in traces} == {None}
