"""The same training elsewhere: files for EasyR1, Slurm jobs, Ray clusters, and another interpreter."""

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from capcurriculum import __version__, cli, prompts, recipe
from capcurriculum.errors import RecipeError, TrainerError
from tests.support import training_data
from training import easyr1, interpreter
from training.easyr1 import reward
from training.preflight.inspection import Inspection
from training.stages import Links

KEYS = json.loads(Path("training/easyr1/keys.json").read_text())


def write(root: Path, **training: Any) -> Path:
    """A recipe of two small stages for a GPU, with a checkpoint that stands for the model."""
    for stage in ("perception", "text"):
        training_data.write_stage(root / "runs/demo/stages", stage, train=512 if stage == "text" else 516)
    asked = {"backbone": "qwen3_vl_8b", "model": str(root / "parent"), "stages": ["perception", "text"], **training}
    perception = {"source": {"kind": "scenes"}, "teacher": {"model": "m"}, "probe": {"solvers": ["m"]}}
    (root / "parent").mkdir(exist_ok=True)
    (root / "parent" / "config.json").write_text("{}")
    weights = training_data.weights("weights", ("model.visual.a", "model.layers.0.q_proj.weight", "lm_head.weight"))
    (root / "parent" / "model.safetensors").write_bytes(weights)
    file = root / "recipe.yaml"
    file.write_text(recipe.dump(training_data.recipe(root, asked, perception=perception)))
    return file


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inspection, "files", lambda self, data: data.files)


def leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(section, key) of a nested configuration."""
    for key, inner in value.items():
        yield prefix, key
        if isinstance(inner, dict) and f"{prefix}.{key}".strip(".") in {*KEYS, "worker"}:
            yield from leaves(inner, f"{prefix}.{key}".strip("."))


def test_easyr1_gets_only_keys_that_it_knows(tmp_path: Path, quick: None) -> None:
    assert cli.main(["train", str(write(tmp_path)), "--engine", "easyr1"]) == 0
    folder = tmp_path / "runs/demo/training/easyr1"
    for stage in ("perception", "text"):
        said = yaml.safe_load((folder / f"{stage}.yaml").read_text())
        assert said.keys() == {"data", "algorithm", "worker", "trainer"}
        found = [(section, key) for section, key in leaves(said) if section not in ("", "worker")]
        assert {section for section, _ in found} == set(KEYS) - {"commit", "source", "worker.actor.model.lora"}
        assert [pair for pair in found if pair[1] not in KEYS[pair[0]]] == []
    assert KEYS["commit"] == easyr1.COMMIT


def test_easyr1_is_told_the_same_as_verl(tmp_path: Path, quick: None) -> None:
    changed = {"schedule": "cosine", "min_lr_ratio": 0.2, "sequence_parallel": 2, "offload_parameters": True}
    file = write(tmp_path, knobs=changed)
    assert cli.main(["train", str(file), "--engine", "easyr1"]) == 0
    folder = tmp_path / "runs/demo/training/easyr1"
    first, second = (yaml.safe_load((folder / f"{stage}.yaml").read_text()) for stage in ("perception", "text"))
    made = recipe.load(file)
    assert made.training is not None
    for said, link in zip((first, second), Links(made, made.training).links, strict=True):
        actor, rollout = said["worker"]["actor"], said["worker"]["rollout"]
        assert actor["optim"]["lr"] == link.knobs.learning_rate
        assert (actor["optim"]["lr_scheduler_type"], actor["optim"]["min_lr_ratio"]) == ("cosine", 0.2)
        assert (actor["ulysses_size"], actor["offload"]["offload_params"]) == (2, True)
        assert actor["model"]["freeze_vision_tower"] is (link.knobs.freeze == "vision")
        assert (said["data"]["rollout_batch_size"], actor["global_batch_size"]) == (512, 128)
        assert (rollout["n"], rollout["temperature"]) == (5, 1.0)
        assert said["data"]["train_files"] == f"{link.files.train[0].parent}@train"
    assert first["worker"]["actor"]["model"]["model_path"] == str(tmp_path / "parent")
    merged = folder / "perception/global_step_15/actor"
    assert second["worker"]["actor"]["model"]["model_path"] == str(merged / "huggingface")
    script = (folder / "run.sh").read_text()
    assert f"scripts/model_merger.py --local_dir {merged}\n" in script
    assert easyr1.COMMIT in script
    assert subprocess.run(["bash", "-n", str(folder / "run.sh")]).returncode == 0


def test_easyr1s_prompt_is_the_system_prompt_and_then_the_problem(tmp_path: Path, quick: None) -> None:
    from jinja2 import Template

    assert cli.main(["train", str(write(tmp_path)), "--engine", "easyr1"]) == 0
    text = (tmp_path / "runs/demo/training/easyr1/format_prompt.jinja").read_text()
    said = Template(text.strip()).render(content="<image>What is it? {{ 1 }}")
    assert said == f"{prompts.system()}\n\n<image>What is it? {{{{ 1 }}}}"


def test_easyr1_in_a_dry_run_prints_and_writes_nothing(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["train", str(file), "--engine", "easyr1", "--dry-run"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "# perception.yaml\ndata:\n  train_files:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("training", "words", "said"),
    [
        ({"backbone": "internvl3_8b"}, [], "InternVL is none of the models it accepts"),
        ({"backbone": "qwen3_5_9b"}, [], "qwen3_5_9b needs enable_thinking: false; leave out --engine"),
        ({"backbone": "micro"}, [], "EasyR1 trains on GPUs alone, and micro is for a CPU"),
        ({"knobs": {"freeze": "lm_head"}}, [], "can freeze the vision tower and nothing else, and stage perception"),
        ({"knobs": {"lora_rank": 8}}, [], "perception trains adapters, which the files for EasyR1 do not express"),
        ({}, ["--stage", "text"], "whole chains are written, not run"),
    ],
)
def test_what_easyr1_cannot_do_is_said(
    tmp_path: Path,
    quick: None,
    training: dict[str, Any],
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["train", str(write(tmp_path, **training)), "--engine", "easyr1", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_easyr1s_reward_pays_what_ours_pays() -> None:
    def reply(answer: str) -> str:
        return f"<think>So.</think> \\boxed{{{answer}}}"

    asked = [("B", "B"), ("B", "(b)"), ("B", "C"), ("B", "a red car"), ("7", "7"), ("\\frac{1}{2}", "0.5"), ("7", "8")]
    scores = reward.compute_score([{"response": reply(said), "ground_truth": gold} for gold, said in asked])
    assert [score["accuracy"] for score in scores] == [1, 1, 0, 0, 1, 1, 0]
    assert {score["format"] for score in scores} == {1.0}
    assert scores[0]["overall"] == pytest.approx(1.0)
    assert scores[2] == {"overall": pytest.approx(0.1), "accuracy": 0.0, "format": 1.0}


def job(root: Path, *words: str, **training: Any) -> Path:
    script = root / "job.sh"
    assert cli.main(["train", str(write(root, **training)), "--sbatch", str(script), *words]) == 0
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    return script


def test_a_job_on_one_node_is_the_users_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("WANDB_API_KEY", "wandb-secret")
    text = job(tmp_path, "--stage", "text", slurm={"partition": "gpu", "time": "1-00:00:00", "cpus": 64}).read_text()
    asked = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    for line in ("--nodes=1", "--gpus-per-node=8", "--partition=gpu", "--time=1-00:00:00", "--cpus-per-task=64"):
        assert f"#SBATCH {line}" in asked
    assert text.splitlines()[-1].startswith("exec ")
    assert text.splitlines()[-1].endswith(f"-m capcurriculum.cli train {tmp_path / 'recipe.yaml'} --stage text")
    assert "secret" not in text
    assert "ray" not in text


SHIM = """#!/bin/bash
name="$(basename "$0")"
echo "$name $*" >> "$CALLS"
case "$name" in
  scontrol) printf 'node-a\\nnode-b\\nnode-c\\n' ;;
  srun) while [[ "$1" == --* ]]; do shift; done; exec "$@" ;;
  hostname) echo "10.1.2.3 10.9.9.9" ;;
esac
"""
PYTHON = """#!/bin/bash
echo "python $*" >> "$CALLS"
case "$*" in
  *"--block"*) exec sleep 60 ;;
  "- "*) cat > /dev/null; until [ "$(grep -c -e --block "$CALLS")" -ge 6 ]; do sleep 0.1; done ;;
  *capcurriculum.cli*) exit 7 ;;
esac
"""


def test_a_job_on_several_nodes_starts_a_cluster_and_joins_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script runs for real; srun, scontrol and both interpreters only write down how they were called."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {**dict.fromkeys(("scontrol", "srun", "hostname"), SHIM), "python3": PYTHON}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bin_ / "python3"))
    script = job(tmp_path, "--allow", nodes=3, gpus=4, python=str(bin_ / "python3"))
    calls = tmp_path / "calls"
    environ = {"PATH": f"{bin_}:{os.environ['PATH']}", "CALLS": str(calls), "SLURM_JOB_ID": "1234567"}
    environ["SLURM_JOB_NODELIST"] = "node-[a-c]"
    done = subprocess.run(["bash", str(script)], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr  # what the training said
    said = calls.read_text().splitlines()
    port = 20000 + 1234567 % 10000
    heads = [line for line in said if line.startswith("srun") and "--head" in line]
    assert len(heads) == 1
    assert "--nodelist=node-a" in heads[0]
    assert f"--node-ip-address=10.1.2.3 --port={port} --num-gpus=4 --block" in heads[0]
    joined = [line for line in said if line.startswith("srun") and f"start --address=10.1.2.3:{port}" in line]
    assert sorted(line.partition("--nodelist=")[2].split()[0] for line in joined) == ["node-b", "node-c"]
    assert f"python - 10.1.2.3:{port} 3" in said
    assert said[-1].startswith("python -m capcurriculum.cli train")
    assert said[-1].endswith(f"--ray 10.1.2.3:{port}")


def test_a_job_file_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = job(tmp_path)
    assert cli.main(["train", str(tmp_path / "recipe.yaml"), "--sbatch", str(script)]) == 0
    script.write_text("mine")
    assert cli.main(["train", str(tmp_path / "recipe.yaml"), "--sbatch", str(script)]) == 2
    assert "exists and says something else" in capsys.readouterr().err
    assert script.read_text() == "mine"


@pytest.mark.parametrize(
    ("training", "words", "said"),
    [
        ({"nodes": 2}, [], "needs a Ray cluster: give its address"),
        ({"backbone": "micro", "model": "", "nodes": 2}, [], "is trained on this machine's CPU"),
        ({"backbone": "micro", "model": ""}, ["--ray", "auto"], "is trained on this machine's CPU"),
        ({"backbone": "micro", "model": ""}, ["--sbatch", "x.sh"], "is trained on this machine's CPU"),
        ({}, ["--ray", "10.0.0.1"], "is no Ray address; it is auto, host:port or ray://host:port"),
        ({"python": "/nowhere/python3"}, [], "There is no Python at /nowhere/python3"),
    ],
)
def test_machines_that_cannot_be_had_are_refused(
    tmp_path: Path,
    quick: None,
    training: dict[str, Any],
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["train", str(write(tmp_path, **training)), *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "training",
    [
        {"python": "/bin/sh"},
        {"python": "python3"},
        {"ray": "10.0.0.1:6379; rm -rf ~"},
        {"slurm": {"partition": "a\n#SBATCH --uid=0"}},
        {"slurm": {"time": "$(reboot)"}},
        {"slurm": {"memory": "1G b"}},
        {"knobs": {"freeze": "("}},
        {"knobs": {"freeze": "${a}"}},
    ],
)
def test_words_of_a_recipe_that_could_be_more_than_words_are_refused(tmp_path: Path, training: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        write(tmp_path, **training)


def test_cluster_and_interpreter_reach_the_trainers_command(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python3.11"
    python.write_text("#!/bin/sh\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    file = write(tmp_path, nodes=2, gpus=4, python=str(python))
    assert cli.main(["train", str(file), "--dry-run", "--ray", "ray://head:10001"]) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "verl.trainer.main_ppo" in line)
    assert f" {python} -m verl.trainer.main_ppo " in command
    assert '+ray_kwargs.ray_init.address="ray://head:10001"' in command
    assert "trainer.nnodes=2" in command


def interpreter_saying(folder: Path, text: str) -> str:
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\n{text}\n")
    python.chmod(0o755)
    return str(python)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "echo 'ModuleNotFoundError: No module named capcurriculum' >&2; exit 1",
            r"cannot import .*\(ModuleNotFoundError",
        ),
        ("exit 0", r"cannot import this package \(it says nothing\); install it with .* 'capcurriculum\[train-gpu\]=="),
        (f"""echo '["{__version__}", ["verl"]]'""", "has no verl; install it"),
        ("""echo '["0.0.0", []]'""", "has version 0.0.0 of this package, and this is"),
    ],
)
def test_another_interpreter_is_asked_what_it_has(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TrainerError, match=said):
        interpreter.check(interpreter_saying(tmp_path, text), {})


def test_an_interpreter_that_has_everything_passes(tmp_path: Path) -> None:
    interpreter.check(interpreter_saying(tmp_path, f"""echo '["{__version__}", []]'"""), {})
    interpreter.check(sys.executable, {})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a[1]", "pattern of other files"),
        ("a*", "pattern of other files"),
        ("a?", "pattern of other files"),
        ("a::b", "pattern of other files"),
        ("a@b", "takes what follows an @"),
        ("a: b", "would not read"),
        ("a #b", "would not read"),
        ("a\tb", "would not read"),
        ("${a}", "would not read"),
    ],
)
def test_easyr1_is_given_no_path_that_it_reads_as_another(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    file = write(tmp_path / name)
    assert cli.main(["train", str(file), "--engine", "easyr1"]) == 2
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert not (tmp_path / name / "runs/demo/training/easyr1").exists()


def test_easyr1_is_not_led_to_a_pattern_by_a_link(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a[1]")
    (tmp_path / "plain").symlink_to(tmp_path / "a[1]")
    assert cli.main(["train", str(tmp_path / "plain/recipe.yaml"), "--engine", "easyr1"]) == 2
    assert "pattern" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plain", "a b", "a{b,c}", "a#b:c", "a=b,c", "a'\"b", "é(1)&", "$a", "{a}"])
def test_easyr1_reads_its_own_files_below_any_other_path(tmp_path: Path, quick: None, name: str) -> None:
    """As EasyR1's commit reads them: its command line and settings by OmegaConf, a folder of rows by `datasets`."""
    import datasets
    from omegaconf import OmegaConf

    file = write(tmp_path / name)
    assert cli.main(["train", str(file), "--engine", "easyr1"]) == 0
    script = (tmp_path / name / "runs/demo/training/easyr1/run.sh").read_text()
    words = [shlex.split(line) for line in script.splitlines() if line.startswith("python3 -m verl")]
    for number, stage in enumerate(("perception", "text")):
        settings = OmegaConf.load(OmegaConf.from_cli(words[number][3:]).config)
        folder, split = OmegaConf.to_object(settings)["data"]["train_files"].split("@")
        assert Path(folder).is_dir()
        found = datasets.load_dataset("parquet", data_dir=folder, split=split, cache_dir=str(tmp_path / "cache"))
        assert found.num_rows == (512 if stage == "text" else 516)
