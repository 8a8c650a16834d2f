"""SIGTERM and Ctrl-C in the verbs that start programs of others: a trainer, a model's server, an evaluation kit."""

import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.results import results
from tests.support import training_data
from tests.support.endpoint import Endpoint, serving
from tests.support.evaluating import line, tsv
from tests.support.signalled import at_work, command, done, ended, half_written, left
from training.supervise import processes, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(800)]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
#: Starts a process that leaves its group and session, as some of vLLM's and of kits' do.
STRAY = """
import json, subprocess, sys, time, urllib.request
subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
told = dict(zip(sys.argv[1:], sys.argv[2:]))
"""
#: In the place of `vllm serve`: healthy after a while, if ever.
VLLM = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(told["--port"])), Handler).serve_forever()
"""
#: In the place of lmms-eval: asks a task's rows and finds all of them right.
LMMS = """
import os, pathlib
import pyarrow.parquet as pq
model = dict(part.split("=", 1) for part in told["--model_args"].split(","))
samples = []
for place, row in enumerate(pq.read_table(f"{told['--include_path']}/{told['--tasks']}.parquet").to_pylist()):
    body = {"model": model["model"], "messages": [{"role": "user", "content": row["problem"]}], "max_tokens": 9}
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{model['base_url']}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as reply:
        text = json.load(reply)["choices"][0]["message"]["content"]
    samples.append(json.dumps({"doc_id": place, "resps": text, "accuracy": 1.0, "letter": row["answer"]}))
out = pathlib.Path(told["--output_path"])
out.mkdir(parents=True, exist_ok=True)
(out / f"1_samples_{told['--tasks']}.jsonl").write_text("\\n".join(samples))
(out / "1_results.json").write_text(json.dumps({"results": {told["--tasks"]: {"accuracy,none": 1.0}}}))
"""
#: In the place of VLMEvalKit: asks once, and is deaf.
VLMEVAL = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
[model] = json.load(open(told["--config"]))["model"].values()
headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
body = {"model": model["model"], "messages": [{"role": "user", "content": "What?"}], "max_tokens": 9}
urllib.request.urlopen(urllib.request.Request(model["api_base"], json.dumps(body).encode(), headers)).read()
"""


def program(path: Path, text: str) -> Path:
    """A program in the place of another; a kit's interpreter is asked for the kit's version first."""
    asked = "import sys\nif sys.argv[1] == '-c':\n    print('1.0')\n    sys.exit()\n"
    path.write_text(f"#!{sys.executable}\n{asked}{STRAY}{text}")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("healthy", [True, False])
def test_a_server(number: signal.Signals, healthy: bool, tmp_path: Path) -> None:
    program(tmp_path / "vllm", VLLM if healthy else "time.sleep(600)")
    mark, own = str(tmp_path), {"CAPCURRICULUM_CACHE": str(tmp_path / "cache")}
    words = ["serve", "micro:start", "--port", "0", "--python", str(tmp_path / "python")]
    process = command(words, mark, **own)
    at_work(process, lambda: len(left(mark)) == 3)
    assert process.stdout is not None
    while healthy and "is ready" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    ended(process, mark, CODES[number])


@dataclass
class Waiting(Endpoint):
    """Answers nobody before `go` is set."""

    go: threading.Event = field(default_factory=threading.Event)

    def reply(self, body: dict[str, Any]) -> str:
        self.go.wait(60)
        return super().reply(body)


@pytest.mark.parametrize(("kit", "text"), [("lmms-eval", LMMS), ("vlmevalkit", VLMEVAL)])
def test_an_evaluation_by_a_kit(kit: str, text: str, tmp_path: Path) -> None:
    python, mark, out = program(tmp_path / "python", text), str(tmp_path), tmp_path / "out"
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(3)])
    with serving(Waiting()) as endpoint:
        words = ["evaluate", f"M={endpoint.url}", "--suite", str(file), "--out", str(out), "--engine", kit,
                 "--python", str(python), "--judge", "exact"]  # fmt: skip
        process = command(words, mark)
        at_work(process, lambda: bool(endpoint.requests) and len(left(mark)) == 3)
        process.terminate()
        ended(process, mark)
        assert half_written(out) == []
        endpoint.go.set()
        if text == LMMS:
            done(words)
            [score] = results.scores_in(out)
            assert (score.samples, score.score) == (3, 100)


def test_a_server_that_an_evaluation_starts(tmp_path: Path) -> None:
    file, mark = tsv(tmp_path / "Small.tsv", [line(0)]), str(tmp_path)
    words = ["evaluate", "micro:start", "--suite", str(file), "--out", str(tmp_path / "out"), "--with", "serve"]
    process = command(words, mark, CAPCURRICULUM_CACHE=str(tmp_path / "cache"))
    at_work(process, lambda: len(left(mark)) > 1)  # vLLM itself, which is not up yet
    process.terminate()
    ended(process, mark)


def test_a_training(tmp_path: Path) -> None:
    """The trainer itself: stopped behind the first step, then brought to its end by the same command."""
    training = {"stages": ["text"], "knobs": {"max_steps": 2, "max_response_tokens": 16, "save_every": 1}}
    told = {"name": "demo", "runs": str(tmp_path / "runs"), "models": {"m": {"engine": "transformers", "model": "x"}},
            "rollouts": {"model": "m"}, "text": {"source": {"kind": "scenes"}}, "training": training}  # fmt: skip
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(told))
    run = tmp_path / "runs" / "demo"
    training_data.write_stage(run / "stages", "text")
    words, mark = ["train", str(tmp_path / "demo.yaml")], str(tmp_path)
    own = {"CAPCURRICULUM_CACHE": str(tmp_path / "cache")}
    folder = run / "training" / "text"
    process = command(words, mark, **own)
    at_work(process, (folder / "trainer" / "latest_checkpointed_iteration.txt").is_file)
    assert len(processes.belonging(folder)) > 5  # Ray and what it started
    process.terminate()
    ended(process, mark)
    assert processes.belonging(folder) == set()
    assert not supervisor.scratch(folder).exists()
    assert half_written(run) == []
    assert "resuming after step 1" in done(words, **own)
    assert (folder / "checkpoint" / "model.safetensors").is_file()
    assert half_written(run) == []
