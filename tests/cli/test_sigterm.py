"""SIGTERM in every verb: 143, one sentence, no process left, and the same command goes on.

Verbs that start processes of others are in `test_sigterm_processes.py`.
"""

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from capcurriculum import cli, recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import existing
from curricula.build import build
from filters.human.form import version
from tests.cli import test_sigterm_processes
from tests.support import ROOT, endpoint, hub_runs, planted_errors, results_data, validations, worlds
from tests.support.installed import needs
from tests.support.signalled import at_work, command, done, ended, every_verb, half_written
from training.plan import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def mute() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server that takes every connection and says nothing, and what is set once one came."""
    came, over, held = threading.Event(), threading.Event(), []

    def listen() -> None:
        while not over.is_set():
            try:
                held.append(door.accept()[0])
                held[-1].recv(1)  # it asks for something
                came.set()
            except TimeoutError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.1)
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}", came
        finally:
            over.set()
            thread.join()
            for one in held:
                one.close()


def stopped_at_a_mute_server(words: list[str], mark: str, came: threading.Event, **variables: str) -> None:
    process = command(words, mark, **variables)
    at_work(process, came.is_set)
    time.sleep(0.3)  # it waits now, with whatever else it does at the same time
    process.terminate()
    ended(process, mark)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recipe, `small.yaml`, and of its run, all of whose models were asked."""
    folder = tmp_path_factory.mktemp("built")
    worlds.docci(folder / "docci", 12)
    worlds.problems(folder / "text", 8)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(folder, server.url)
        build(wanted, Display())
    (folder / "small.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
    elsewhere = worlds.recipe_over(folder, "http://192.0.2.1:8000/v1")
    (folder / "elsewhere.yaml").write_text(recipe.dump(elsewhere), encoding="utf-8")
    run = folder / "runs" / "small"
    assert cli.main(["environment", str(run), "--out", str(folder / "environment")]) == 0
    assert cli.main(["review", "export", str(run), "--size", "3", "--annotator", "ada"]) == 0
    told = {"form": 1, "page": "p", "reviewer": "ada", "said_at": "2026-05-04T10:00:00.000Z", "right": "yes"}
    question = next(existing(run).questions.rows())
    said = told | {"question_id": question.question_id, "version": version(question)}
    (folder / "said.jsonl").write_text(json.dumps(said) + "\n", encoding="utf-8")
    shutil.copytree(run, folder / "runs" / "trained")
    validations.planned(folder / "runs" / "trained" / "training", ("perception", State.DONE, 1))
    replies = [results_data.outcomes(name, "B", {key: ("right", 9) for key in range(4)}) for name in ("one", "two")]
    results_data.write(folder / "results", [reply for model in replies for reply in model])
    return folder


#: Sends itself SIGTERM when it opens or makes, for the N-th time, what bears a name that holds a text, below a folder.
AT = """
import os, signal, sys, threading
from capcurriculum import cli
folder, part, wanted = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
met = 0
def hook(event, args):
    global met
    if event in ("open", "os.mkdir") and isinstance(args[0], (str, os.PathLike)):
        path = os.fspath(args[0])
        if folder in path and part in path.rpartition("/")[2]:
            met += 1
            if met == wanted:
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()
sys.addaudithook(hook)
raise SystemExit(cli.main(sys.argv[1:]))
"""
#: When it reads the run.
READING = ("", "2")
#: When something is there under its temporary name.
WRITING = (".tmp-", "1")

#: Verbs that ask nobody anything, and where each is stopped.
LOCAL = {
    "allow": (WRITING, ["ELSEWHERE"]),
    "init": (WRITING, ["DATA", "--micro", "--recipe", "OUT.yaml", "--overwrite"]),
    "runs": (READING, ["RUNS"]),
    "status": (READING, ["RUN"]),
    "verify": (READING, ["RUN"]),
    "funnel": (READING, ["RUN", "--overlap"]),
    "why": (READING, ["RUN", "ROW"]),
    "query": (READING, ["RUN", "select * from questions"]),
    "report": (WRITING, ["RUN", "--out", "OUT.html"]),
    "card": (READING, ["RUN", "--out", "OUT"]),
    "environment": (WRITING, ["RUN", "--out", "OUT"]),
    "validate": (("", "1"), ["ENVIRONMENT"]),  # what it reads after that is opened by Arrow
    "curves": (WRITING, ["TRAINED"]),
    "curriculum": (WRITING, ["RUN", "--order", "merged"]),
    "build": (READING, ["RECIPE"]),
    "review export": (WRITING, ["RUN", "--annotator", "ada", "--out", "OUT.html"]),
    "review import": (WRITING, ["RUN", "SAID", "--annotator", "ada"]),
    "signatures build": (WRITING, ["DATA", "--name", "B", "--question", "problem", "--out", "OUT"]),
    "compare": (WRITING, ["one", "two", "--in", "RESULTS"]),
}


@pytest.mark.parametrize("verb", LOCAL)
def test_a_verb_that_only_reads_and_writes(verb: str, built: Path, tmp_path: Path) -> None:
    run, both = built / "runs" / "small", built.parent
    row = next(existing(run).questions.rows()).question_id
    places = {"RUN": run, "RUNS": run.parent, "TRAINED": built / "runs" / "trained", "RECIPE": built / "small.yaml",
              "ROW": row, "DATA": built / "text" / "problems.jsonl", "SAID": built / "said.jsonl",
              "ENVIRONMENT": built / "environment", "RESULTS": built / "results",
              "ELSEWHERE": built / "elsewhere.yaml"}  # fmt: skip
    where, given = LOCAL[verb]
    words = [*verb.split(), *(str(places.get(word, word)).replace("OUT", str(tmp_path / "out")) for word in given)]
    own = {"XDG_CONFIG_HOME": str(tmp_path / "own")}
    ended(command([str(both), *where, *words], str(tmp_path), AT, **own), str(tmp_path))
    assert half_written(built) == half_written(tmp_path) == []
    done(words, **own)
    assert half_written(built) == half_written(tmp_path) == []


def test_a_long_statement(built: Path, tmp_path: Path) -> None:
    sql = "select count(*) from range(2000000) a, range(2000000) b where a.range * b.range % 7 = 3"
    process = command(["query", str(built / "runs" / "small"), sql], str(tmp_path))
    time.sleep(4)
    process.terminate()
    ended(process, str(tmp_path))


def test_a_build_whose_models_do_not_answer(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 6)
    worlds.problems(tmp_path / "text", 4)
    with mute() as (url, came):
        (tmp_path / "small.yaml").write_text(recipe.dump(worlds.recipe_over(tmp_path, f"{url}/v1")), encoding="utf-8")
        stopped_at_a_mute_server(["build", str(tmp_path / "small.yaml")], str(tmp_path), came)


def test_a_build_amid_its_replies_goes_on(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 12)
    worlds.problems(tmp_path / "text", 8)
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.2)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url)
        (tmp_path / "small.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
        process = command(["build", str(tmp_path / "small.yaml")], str(tmp_path))
        at_work(process, lambda: len(server.requests) >= 40)
        process.terminate()
        ended(process, str(tmp_path))
        asked = len(server.requests)
        done(["build", str(tmp_path / "small.yaml")])
        whole = len(server.requests)
    with endpoint.serving() as server:
        build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        assert whole - asked < len(server.requests)  # what was answered was not asked again
        assert whole >= len(server.requests)


def test_an_audit_whose_model_does_not_answer(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 6)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(tmp_path, server.url, text=None)
        build(wanted, Display())
    with mute() as (url, came):
        other = worlds.recipe_over(tmp_path, f"{url}/v1", text=None)
        (tmp_path / "small.yaml").write_text(recipe.dump(other), encoding="utf-8")
        words = ["audit", str(tmp_path / "small.yaml"), "--model", "teacher", "--size", "4"]
        stopped_at_a_mute_server(words, str(tmp_path), came)


def test_judges_that_do_not_answer(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 6, 0.5)
    with mute() as (url, came):
        words = ["errors", "tested", "--in", str(tmp_path), "--judge", f"seer@{url}/v1", "--votes", "1"]
        stopped_at_a_mute_server(words, str(tmp_path), came)


def test_an_evaluation_whose_endpoint_does_not_answer(tmp_path: Path) -> None:
    from tests.support.evaluating import line, tsv

    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(4)])
    with mute() as (url, came):
        words = ["evaluate", f"m={url}/v1", "--suite", str(file), "--out", str(tmp_path / "out")]
        stopped_at_a_mute_server(words, str(tmp_path), came)


@pytest.mark.parametrize("task", ["push", "pull", "status"])
def test_an_argilla_that_does_not_answer(task: str, built: Path, tmp_path: Path) -> None:
    needs("argilla", extra="review")
    with mute() as (url, came):
        words = ["review", task, str(built / "runs" / "small")]
        stopped_at_a_mute_server(words, str(tmp_path), came, ARGILLA_API_URL=url, ARGILLA_API_KEY="k" * 20)


@pytest.mark.parametrize("verb", ["publish", "publish-model", "download"])
def test_a_hub_that_does_not_answer(verb: str, tmp_path: Path) -> None:
    run = hub_runs.build(tmp_path, 6)
    checkpoint = tmp_path / "start"  # what is sent is put beside it
    shutil.copytree(ROOT / "datagen" / "micro" / "checkpoints" / "start", checkpoint)
    words = {
        "publish": ["publish", str(run.path), "--namespace", "me"],
        "publish-model": ["publish-model", str(checkpoint), "--repo", "me/model"],
        "download": ["download", "me/sets", "--to", str(tmp_path / "sets")],
    }[verb]
    with mute() as (url, came):
        variables = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_x", "HF_HUB_OFFLINE": "0"}
        variables |= {"CAPCURRICULUM_CACHE": str(tmp_path / "cache")}
        stopped_at_a_mute_server(words, str(tmp_path), came, **variables)
    assert half_written(tmp_path) == list((tmp_path / "cache").rglob("README.md")) == []


#: What stops each verb at work.
STOPPED = {
    **dict.fromkeys(LOCAL, test_a_verb_that_only_reads_and_writes),
    "audit": test_an_audit_whose_model_does_not_answer,
    "errors": test_judges_that_do_not_answer,
    **dict.fromkeys(["review push", "review pull", "review status"], test_an_argilla_that_does_not_answer),
    **dict.fromkeys(["publish", "publish-model", "download"], test_a_hub_that_does_not_answer),
    "train": test_sigterm_processes.test_a_training,
    "serve": test_sigterm_processes.test_a_server,
    "evaluate": test_sigterm_processes.test_an_evaluation_by_a_kit,
}


def test_every_verb_is_stopped_by_one_of_these() -> None:
    assert set(STOPPED) == set(every_verb())
