"""What a recipe names is run and sent only after the user's word, and children are told no secrets."""

import io
import os
import stat
import sys
from dataclasses import replace
from multiprocessing import spawn
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, consent, recipe
from capcurriculum.errors import ConsentError, TrainerError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from capcurriculum.trust import child_environment
from datagen import micro
from evaluation import dry_run, evaluate, kits, suites
from evaluation.job import Job as EvaluationJob
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import Launch
from tests.support import preflight_data, worlds
from tests.support.endpoint import serving
from tests.training.test_elsewhere import quick, write  # noqa: F401
from training import interpreter
from training.on_verl import environment
from training.preflight.machine import libraries
from training.preflight.machine.libraries import Libraries
from training.preflight.rows.pool import Pools
from training.supervise import supervisor
from training.supervise.supervisor import Job

SECRET = "a-secret-that-nobody-may-see"
SECRETS = (
    "OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "TEAM_KEY",
    "PGPASSWORD", "WANDB_API_KEY", "RAY_AUTH_KEY", "VLLM_API_KEY", "CUDA_LICENSE_KEY", "SLURM_JWT",
    "HUGGING_FACE_HUB_TOKEN", "SSH_AUTH_SOCK", "DATABASE_URL", "MY_OWN", "SENTRY_DSN", "KUBECONFIG",
    "CAPCURRICULUM_TOKEN",
)  # fmt: skip
NEEDED = (
    "PATH", "HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "HF_HOME", "HF_HUB_OFFLINE", "VLLM_USE_V1",
    "TOKENIZERS_PARALLELISM", "OMP_NUM_THREADS", "http_proxy", "NO_PROXY", "LC_ALL", "XDG_CACHE_HOME", "LMUData",
    "PYTORCH_CUDA_ALLOC_CONF", "SLURM_JOB_ID", "SSL_CERT_FILE", "PYTHONPATH", "TRITON_CACHE_DIR", "RAY_ADDRESS",
)  # fmt: skip
FAR = "https://models.far.example/v1"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/capcurriculum/allowed"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, SECRET)


def program(folder: Path, then: str = "") -> Path:
    """An interpreter that writes down what it was told."""
    path = folder / "env/bin/python3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nenv >> {folder}/ran\n{then}\n")
    path.chmod(0o755)
    return path


def told(folder: Path) -> str:
    text = (folder / "ran").read_text()
    assert "PATH=" in text
    return text


def asking(folder: Path, **model: Any) -> recipe.Recipe:
    made = worlds.recipe_over(folder, "http://127.0.0.1:9/v1")
    policy = ModelSection.model_validate({"engine": "openai", "model": "m", "base_urls": [FAR]} | model)
    return made.model_copy(update={"models": made.models | {"policy": policy}})


def file_of(made: recipe.Recipe, folder: Path) -> str:
    (folder / "recipe.yaml").write_text(recipe.dump(made))
    return str(folder / "recipe.yaml")


def test_a_word_is_for_one_list_until_it_is_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = consent.of_recipe(asking(tmp_path))
    with pytest.raises(ConsentError, match=r"capcurriculum allow r\.yaml"):
        consent.check("r.yaml", first, {consent.MODELS}, allow=False)
    named = file_of(asking(tmp_path), tmp_path)
    assert cli.main(["allow", named]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"send what the model policy is asked to {FAR}, with $OPENAI_API_KEY as its key (models)" in said
    consent.check("r.yaml", first, {consent.MODELS}, allow=False)
    consent.check("r.yaml", consent.of_recipe(asking(tmp_path, concurrency=3)), {consent.MODELS}, allow=False)
    for other in (
        {"api_key_env": "TEAM_KEY"},
        {"base_urls": [FAR, "https://farther.example/v1"]},
        {"base_urls": [FAR.replace("https", "http")]},
        {"headers": {"X-A": "TEAM_KEY"}},
    ):
        with pytest.raises(ConsentError):
            consent.check("r.yaml", consent.of_recipe(asking(tmp_path, **other)), {consent.MODELS}, allow=False)
    assert cli.main(["allow", named, "--forget"]) == 0
    with pytest.raises(ConsentError):
        consent.check("r.yaml", first, {consent.MODELS}, allow=False)


def test_the_word_is_the_users_own_file_and_says_what_it_is_for(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = consent.of_recipe(asking(tmp_path))
    path = consent.store(wishes)
    assert path.parent == own_folder
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_folder.stat().st_mode) == 0o700
    assert FAR in path.read_text()
    assert consent.allowed(wishes)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert not consent.allowed(wishes)


def test_a_word_that_cannot_be_stored_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").write_text("no folder")
    assert cli.main(["allow", file_of(asking(tmp_path), tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "cannot be stored" in error
    assert "--allow" in error
    assert error.count("\n") == 1


def test_allow_with_the_command_is_for_that_call_alone(tmp_path: Path, own_folder: Path) -> None:
    consent.check("r.yaml", consent.of_recipe(asking(tmp_path)), {consent.MODELS}, allow=True)
    assert not own_folder.exists()


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_a_terminal_is_asked(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    wishes = consent.of_recipe(asking(tmp_path))
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    if goes_on:
        consent.check("r.yaml", wishes, {consent.MODELS}, allow=False)
    else:
        with pytest.raises(ConsentError, match="Nothing was run or sent"):
            consent.check("r.yaml", wishes, {consent.MODELS}, allow=False)
    assert own_folder.exists() == goes_on
    assert FAR in shown.getvalue()
    assert "[y/N]" in shown.getvalue()


def test_what_the_recipe_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    policy = ModelSection(engine="openai", model="m", base_urls=(FAR,))
    made = asking(tmp_path).model_copy(update={"models": {"\x1b]0;x\x07\nall is well": policy}})
    assert not set("\x1b\x07\n") & set("".join(consent.listed("r\x1b.yaml", consent.of_recipe(made))))


@pytest.mark.parametrize("path", sorted(Path("curricula/recipes").rglob("*.yaml")), ids=str)
def test_shipped_recipes_need_no_word(path: Path, secrets: None) -> None:
    parts = {consent.MODELS, consent.KITS, *consent.TRAINING}
    consent.check(str(path), consent.of_recipe(recipe.load(path)), parts, allow=False)


def test_loopback_without_a_secret_needs_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1")
    assert consent.of_recipe(made) == ()
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert all("$OPENAI_API_KEY" in wish.text for wish in consent.of_recipe(made))
    assert len(consent.of_recipe(made)) == 4


def test_the_recipe_that_a_run_keeps_is_the_same_recipe(tmp_path: Path) -> None:
    made = asking(tmp_path)
    consent.store(consent.of_recipe(recipe.load(Path(file_of(made, tmp_path)))))
    kept = recipe.parse(recipe.extends.read(Path(file_of(made, tmp_path))), "kept")
    assert consent.allowed(consent.of_recipe(kept))


def test_only_what_a_verb_does_is_asked_about(tmp_path: Path) -> None:
    wishes = consent.of_recipe(asking(tmp_path))
    consent.check("r.yaml", wishes, consent.TRAINING, allow=False)
    consent.check("r.yaml", wishes, {consent.KITS}, allow=False)


def test_a_build_sends_a_secret_only_after_the_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.problems(tmp_path / "text")
    monkeypatch.setenv("TEAM_KEY", SECRET)
    with serving() as server:
        made = worlds.recipe_over(tmp_path, server.url, perception=None)
        model = made.models["policy"].model_copy(update={"api_key_env": "TEAM_KEY"})
        named = file_of(made.model_copy(update={"models": made.models | {"policy": model}}), tmp_path)
        assert cli.main(["build", named]) == 2
        assert cli.main(["build", named, "--dry-run"]) == 0
        assert server.requests == []
        assert cli.main(["allow", named]) == 0
        assert server.requests == []
        assert cli.main(["build", named]) == 0
        assert {sent["authorization"] for sent in server.headers} == {f"Bearer {SECRET}"}


def test_the_hubs_token_goes_to_the_hub() -> None:
    url = "https://router.huggingface.co/v1"
    assert ModelSection(engine="openai", model="m", base_urls=(url,), api_key_env="HF_TOKEN").base_urls == (url,)
    with pytest.raises(ValueError, match="goes to the Hub alone"):
        ModelSection(engine="openai", model="m", base_urls=(url, FAR), api_key_env="HF_TOKEN")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1", "http://localhost:8000/v1/", "https://api.openai.com/v1", "http://[::1]:8000/v1",
        "https://gateway.example/v1/a1b2-c3/team_x/openai", "http://node-1.cluster.local:8000", "https://h/a:b/~c/v1.2",
        "http://10.0.0.1:8000/v1", "https://xn--bcher-kva.example/v1",
    ],
)  # fmt: skip
def test_addresses_that_are_ones(url: str) -> None:
    assert ModelSection(engine="openai", model="m", base_urls=(url,)).base_urls == (url,)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "words", [["--dry-run"], ["--engine", "easyr1", "--dry-run"], ["--sbatch", "j.sh", "--dry-run"]]
)
def test_a_dry_run_of_training_starts_no_program_of_the_recipe(
    tmp_path: Path, secrets: None, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    named = write(tmp_path, python=str(program(tmp_path)), logger=["wandb"])
    assert cli.main(["train", str(named), *words]) == 0
    assert not (tmp_path / "ran").exists()
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("quick")
def test_a_training_asks_its_program_after_the_word(tmp_path: Path, secrets: None) -> None:
    named = write(tmp_path, python=str(program(tmp_path)))
    assert cli.main(["train", str(named), "--engine", "easyr1"]) == 2
    assert not (tmp_path / "ran").exists()
    cli.main(["train", str(named), "--engine", "easyr1", "--allow"])
    assert SECRET not in told(tmp_path)


def test_a_dry_run_of_an_evaluation_starts_no_program_of_a_recipe(tmp_path: Path, secrets: None) -> None:
    made = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1", evaluation={"python": str(program(tmp_path))})
    file_of(made, tmp_path)
    target = Target("M", "", url="http://127.0.0.1:9/v1", run=Run(tmp_path))
    job = EvaluationJob(tmp_path / "out", suites.load("main"), Display(), dry_run=True)
    for engine in ("vlmevalkit", "lmms-eval"):
        suite = job.suite if engine == "vlmevalkit" else of_lmms(job.suite)
        lines = list(dry_run.lines(replace(job, suite=suite), target, engine))
        assert any("a dry run does not start it" in line for line in lines)
    assert not (tmp_path / "ran").exists()
    wished = evaluate.wished(job, [target], "vlmevalkit", "main")
    with pytest.raises(ConsentError, match=r"run the program .*env/bin/python3"):
        consent.check("r", wished[str(tmp_path)], {consent.KITS}, allow=False)
    assert evaluate.wished(replace(job, python="/mine/python3"), [target], "vlmevalkit", "main") == {}


def of_lmms(suite: suites.Suite) -> suites.Suite:
    return suite.model_copy(update={"benchmarks": tuple(one for one in suite.benchmarks if one.lmms)})


@pytest.mark.parametrize("name", SECRETS)
def test_no_child_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, SECRET)
    launched = Launch(("x",), {}, "m", 1).environment
    for given in (
        child_environment.environment({}),
        environment.trainer_environment("cpu"),
        kits.environment({}),
        launched,
    ):
        assert SECRET not in given.values()


@pytest.mark.parametrize("name", NEEDED)
def test_a_child_is_told_what_it_needs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/some/where")
    assert child_environment.environment({})[name] == "/some/where"


def test_a_password_in_a_proxy_is_for_those_who_need_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@proxy:3128")
    assert "https_proxy" not in environment.trainer_environment("cuda")
    assert SECRET in environment.trainer_environment("cuda", ["wandb"])["https_proxy"]
    assert SECRET in kits.environment({})["https_proxy"]


def test_keys_go_to_the_children_that_are_for_them(secrets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tracker = environment.trainer_environment("cuda", ["wandb"])
    assert {name for name, value in with_tracker.items() if value == SECRET} == {"WANDB_API_KEY"}
    monkeypatch.setenv("CAPCURRICULUM_PASS", "MY_OWN, TEAM_KEY")
    assert {name for name, value in kits.environment({}).items() if value == SECRET} == {"MY_OWN", "TEAM_KEY"}


def test_every_way_to_start_another_interpreter_keeps_secrets(tmp_path: Path, secrets: None) -> None:
    tracker = f'case "$*" in *resource_tracker*) exec {sys.executable} "$@" ;; esac'
    python = str(program(tmp_path, f"{tracker}\nexit 1"))
    with pytest.raises(TrainerError):
        interpreter.check(python, environment.trainer_environment("cpu"))
    assert libraries.of(python) is None
    with pytest.raises(Exception, match="has no x"):
        kits.find("x", ["x"], python, "")
    here = preflight_data.settings(micro.checkpoint("start"), {})
    there = Libraries(python, here.libraries.version, here.libraries.versions)
    before = spawn.get_executable()
    with Pools(None, 1) as pools, pytest.raises(TrainerError, match="died"):
        pools.of(replace(here, libraries=there)).one("disagreements")
    spawn.set_executable(before)
    assert os.environ["HF_TOKEN"] == SECRET
    text = told(tmp_path)
    assert text.count("PATH=") >= 4
    assert SECRET not in text


def test_programs_in_a_folder_of_a_run_are_not_imported(tmp_path: Path) -> None:
    for name in ("json.py", "torch.so"):
        (tmp_path / name).write_text("")
        with pytest.raises(TrainerError, match=f"holds {name}, which the trainer's Python would import"):
            supervisor.run(Job([sys.executable, "-c", ""], {}, tmp_path, 10))
        (tmp_path / name).unlink()
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("")
    kit = kits.Kit("VLMEvalKit", sys.executable, "1")
    assert "holds torch" in kits.run(kit, ["-c", ""], {}, tmp_path, tmp_path / "log", lambda: "")
