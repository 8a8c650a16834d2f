"""Which model is meant, how it is served, and that nothing of a server is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from capcurriculum import cli, prompts, recipe, signals
from capcurriculum.errors import EvaluationError
from datagen.micro import checkpoint
from evaluation.evaluate import default_folder
from evaluation.results.results import FOLDER
from evaluation.serving import server, vllm_command
from evaluation.serving.models import Target, backbones, find
from evaluation.serving.vllm_command import Launch, ServeOptions, launch
from tests.support import card_runs, training_data
from training import plan
from training.supervise import processes

#: A server that starts a grandchild which leaves its process group, as vLLM's engine may.
SERVER = """
import http.server, subprocess, sys
stray = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
print("stray", stray.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        if self.path == "/die": sys.exit("RuntimeError: told to")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def value(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


@pytest.mark.parametrize(
    ("name", "backbone", "system", "alias"),
    [
        ("micro:start", "micro", True, "micro_start"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl_8b", False, "Qwen3_VL_8B_Instruct"),
        ("Qwen/Qwen3.5-9B", "qwen3_5_9b", False, "Qwen3_5_9B"),
        ("UCSC-VLAA/VLM-CapCurriculum-Qwen3-VL-8B-Staged", "qwen3_vl_8b", True, "Qwen3_VL_8B_Staged"),
        ("UCSC-VLAA/VLM-CapCurriculum-InternVL3.5-8B-Staged", "internvl3_5_8b", True, "InternVL3_5_8B_Staged"),
        ("someone/else", "", True, "else"),
    ],
)
def test_names_mean_models(name: str, backbone: str, system: bool, alias: str) -> None:
    found = find(name)
    assert (found.backbone, found.system, found.alias) == (backbone, system, alias)


def test_a_run_means_its_last_trained_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "planted"
    given = card_runs.plain(training={"backbone": "micro"})
    stages = []
    for name, state in (("perception", "done"), ("text", "done"), ("visual", "running")):
        drafted = plan.StagePlan(name, plan.State(state), "d", "c", {}, 8, 8, 5, 1, 1, 1, checkpoint_digest=f"w-{name}")
        stages.append(drafted)
        shutil.copytree(checkpoint("start"), run / "training" / name / "checkpoint")
    plan.save(run / "training" / "plan.json", "planted", stages)
    (run / "recipe.yaml").write_text(recipe.dump(given))
    found = find("planted")
    assert (found.label, found.weights, found.backbone) == ("planted after text", "w-text", "micro")
    for name in (str(run), str(run / "training" / "text" / "checkpoint"), "runs/planted/training/text/checkpoint"):
        assert (find(name).label, find(name).model) == (found.label, found.model)
    assert find(str(run / "training" / "perception" / "checkpoint")).label == "planted after perception"
    assert default_folder([found]) == Path("runs/planted") / FOLDER
    assert default_folder([find("micro:start"), found]) == Path("runs/planted") / FOLDER
    assert default_folder([find("micro:start")]) == Path("evaluations")
    # A checkpoint that was copied away is known by what it holds.
    shutil.copytree(checkpoint("start"), tmp_path / "alone")
    alone = find("alone")
    assert (alone.label, alone.backbone, alone.weights) == ("alone", "micro", find("micro:start").weights)
    plan.save(run / "training" / "plan.json", "planted", stages[2:])
    with pytest.raises(EvaluationError, match="no finished stage; train first"):
        find("planted")


def test_the_command_is_the_backbones(tmp_path: Path) -> None:
    argv = launch(
        find("Qwen/Qwen3-VL-8B-Instruct"), ServeOptions(port=23340, tensor_parallel=4, gpu_memory=0.8, images=4)
    ).argv
    assert argv[1:3] == ("serve", "Qwen/Qwen3-VL-8B-Instruct")
    assert json.loads(value(argv, "--limit-mm-per-prompt")) == {"image": 4, "video": 0}
    assert json.loads(value(argv, "--mm-processor-kwargs")) == {"min_pixels": 262144, "max_pixels": 4194304}
    assert int(value(argv, "--max-model-len")) == 4 * 4096 + 2048 + 2048
    assert value(argv, "--generation-config") == "vllm"
    assert (value(argv, "--tensor-parallel-size"), value(argv, "--gpu-memory-utilization")) == ("4", "0.8")
    assert value(argv, "--host") == "127.0.0.1"
    assert "--trust-remote-code" not in argv
    micro = launch(find("micro:start"), ServeOptions())
    assert value(micro.argv, "--dtype") == "float32"
    assert "--mm-processor-kwargs" not in micro.argv  # its processor knows one size
    assert micro.variables["VLLM_CPU_KVCACHE_SPACE"] == "1"
    folder = shutil.copytree(checkpoint("start"), tmp_path / "own")
    told = json.loads((folder / "processor_config.json").read_text())
    told["image_processor"]["size"] = {"shortest_edge": 64, "longest_edge": 10**9}
    (folder / "processor_config.json").write_text(json.dumps(told))
    limits = json.loads(value(launch(find(str(folder)), ServeOptions()).argv, "--mm-processor-kwargs"))
    assert limits == {"min_pixels": 1024, "max_pixels": 262144}


@pytest.mark.parametrize(
    ("kind", "width", "backbone"),
    [("qwen3_5", 4096, "qwen3_5_9b"), ("qwen3_5", 2560, "qwen3_5_4b"), ("qwen3_vl", 4096, "qwen3_vl_8b"),
     ("qwen3_vl", 128, "micro"), ("internvl", 3584, "internvl3_8b"), ("qwen3_vl", 2560, "")],
)  # fmt: skip
def test_a_folder_is_known_by_its_kind_and_width(kind: str, width: int, backbone: str, tmp_path: Path) -> None:
    told = {"model_type": kind, "text_config": {"hidden_size": width}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / "model.safetensors").write_bytes(training_data.weights("weights"))
    assert find(str(tmp_path)).backbone == backbone


def test_a_model_is_served_with_its_backbones_template() -> None:
    argv = launch(find("Qwen/Qwen3.5-9B"), ServeOptions()).argv
    assert json.loads(value(argv, "--default-chat-template-kwargs")) == {"enable_thinking": False}
    assert "--default-chat-template-kwargs" not in launch(find("Qwen/Qwen3-VL-8B-Instruct"), ServeOptions()).argv


def test_every_backbone_can_be_served() -> None:
    for name, base in backbones().items():
        argv = launch(Target("x", base.model, name), ServeOptions()).argv
        assert int(value(argv, "--max-model-len")) > vllm_command.reply_tokens(base)
        assert value(argv, "--dtype") == base.dtype
        assert ("--mm-processor-kwargs" in argv) == (
            base.processor.startswith("Qwen") and name != "micro"
        ) or name == "micro"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "There is no model 'nothing'"),
        (["someone/else"], "name it with --backbone"),
        (["micro:none"], "no checkpoint named 'none'"),
        (["M=http://127.0.0.1:9/v1"], "already; there is nothing to serve"),
        (["micro:start", "--backbone", "none"], "There is no backbone 'none'"),
        (["micro:start", "--python", "/nowhere/python"], "cannot be started"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", *words, "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_dry_run_prints_the_command_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "micro:start", "--dry-run", "--port", "23340"]) == 0
    said = capsys.readouterr().out
    assert "vllm serve" in said
    assert "--port 23340" in said


def test_a_request_to_try_has_the_turns_of_training() -> None:
    from evaluation.serving import serve

    target = find("micro:start")
    body = serve.body(launch(target, ServeOptions()), target)
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == prompts.system()
    assert body["max_tokens"] == 96


def stand_in(folder: Path, body: str = SERVER) -> Launch:
    """A server that is a few lines of Python."""
    port = server.free_port()
    return Launch((sys.executable, "-c", body, str(port)), {}, "stand-in", port)


def test_a_server_is_ready_when_healthy_and_leaves_nothing(tmp_path: Path) -> None:
    with server.serving(stand_in(tmp_path), 30, tmp_path) as running:
        assert running.ended() == ""
        assert len(processes.belonging(tmp_path, running.process.pid)) == 2
    assert processes.belonging(tmp_path, running.process.pid) == set()
    with pytest.raises(signals.Ended) as caught:
        interrupted(tmp_path)
    assert caught.value.code == 143
    assert processes.belonging(tmp_path) == set()


def interrupted(folder: Path) -> None:
    """As a batch system ends a job."""
    with server.serving(stand_in(folder), 30, folder):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


def test_a_server_that_ends_is_told_with_its_last_error(tmp_path: Path) -> None:
    with (
        pytest.raises(EvaluationError, match=r"ended with code 1: ValueError: no room; its log is .*server\.log"),
        server.serving(stand_in(tmp_path, "raise ValueError('no room')"), 30, tmp_path),
    ):
        pass
    with (
        pytest.raises(EvaluationError, match="not ready within"),
        server.serving(stand_in(tmp_path, "import time; time.sleep(60)"), 0.5, tmp_path),
    ):
        pass
    taken = stand_in(tmp_path)
    with (
        server.serving(taken, 30, tmp_path / "a"),
        pytest.raises(EvaluationError, match=f"Port {taken.port} is taken"),
        server.serving(taken, 30, tmp_path / "b"),
    ):
        pass


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from evaluation.serving import server; from tests.evaluation.test_serve import stand_in\n"
        "with server.serving(stand_in(Path(sys.argv[1])), 30, Path(sys.argv[1])) as running:\n"
        "    print('ready', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.kill()
    child.wait()
    child.stdout.close()
    assert processes.belonging(tmp_path)  # the stray; the server itself died with its supervisor
    with server.serving(stand_in(tmp_path), 30, tmp_path):
        pass
    assert processes.belonging(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_micro_model_is_served_by_vllm_and_answers_the_printed_request(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "capcurriculum.cli", "serve", "micro:start", "--port", "0", "--patience", "300"]
    variables = os.environ | {"CAPCURRICULUM_CACHE": str(tmp_path)}
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)
    assert child.stdout is not None
    said = ""
    while "curl" not in said:
        line = child.stdout.readline()
        assert line, f"{said}\n{child.stderr.read() if child.stderr else ''}"
        said += line
    command = said[said.index("curl") :]
    while not command.rstrip().endswith("'"):
        command += child.stdout.readline()
    reply = json.loads(subprocess.run(command, shell=True, capture_output=True, check=True).stdout)
    assert "<think>" in reply["choices"][0]["message"]["content"]
    url = command.split()[2].removesuffix("/chat/completions")
    with urllib.request.urlopen(f"{url}/models") as models:
        assert [one["id"] for one in json.load(models)["data"]] == ["micro_start"]
    [folder] = (tmp_path / "serve").iterdir()
    assert processes.belonging(folder)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    assert processes.belonging(folder) == set()
    child.stdout.close()
    assert child.stderr is not None
    child.stderr.close()


def test_the_suites_are_the_papers_by_names_that_exist() -> None:
    from evaluation import suites
    from evaluation.published import paper

    main, extended = suites.load("main"), suites.load("extended")
    groups = {name: tuple(e.name for e in main.benchmarks if e.group == name) for name in paper().suites["main"]}
    assert groups == dict(paper().suites["main"])
    named = {entry.name for entry in extended.benchmarks}
    assert set(paper().suites["extended"]["extended"]) - named == {"VisOnlyQA-Synthetic", "VisOnlyQA-Real"}
    assert named - set(paper().suites["extended"]["extended"]) == {"VisOnlyQA-VLMEvalKit"}
    assert main.judge in main.judges


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("benchmarks: []", "at least one value"),
        ("{name: a, benchmarks: [{name: b, clas: c}]}", "did you mean class"),
        ("{name: a, benchmarks: [{name: b}], judges: {x: {model: m}}}", "a base_url and a model"),
        ("{name: a, benchmarks: [{name: b}], judges: {x: {model: m, base_url: 'http://u:p@h/v1'}}}", "no user name"),
        ("benchmarks: [", "is no YAML"),
    ],
)
def test_a_suite_that_is_not_right_is_one_sentence(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text)
    assert cli.main(["evaluate", "micro:start", "--suite", str(file), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_suite_of_ones_own_places_its_files_beside_itself(tmp_path: Path) -> None:
    from evaluation import suites

    file = tmp_path / "suite.yaml"
    file.write_text(yaml.safe_dump({"name": "mine", "benchmarks": [{"name": "a", "file": "data/a.tsv"}]}))
    assert suites.load(str(file)).benchmarks[0].file == tmp_path / "data" / "a.tsv"
