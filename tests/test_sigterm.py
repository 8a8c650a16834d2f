"""SIGTERM in every verb: 143, one sentence, no process left, and the same command goes on."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from capcurriculum import recipe
from capcurriculum.progress import Display
from curricula.build import build
from tests import endpoint, hub_runs, planted_errors, worlds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
#: In the environment of a command and of everything that it starts.
MARK = "SIGTERM_TEST"


def command(words: list[str], mark: str, code: str = "", **variables: str) -> "subprocess.Popen[str]":
    """The command line in a process of its own, or a program that calls it."""
    program = ["-c", code] if code else ["-m", "capcurriculum.cli"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", MARK: mark} | variables
    return subprocess.Popen(
        [sys.executable, *program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def left(mark: str) -> list[int]:
    """The living processes that bear the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marked = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if marked and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def ended(process: "subprocess.Popen[str]", mark: str) -> None:
    """It ended as it should."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, f"{process.returncode}\n{out}\n{err}"
    assert "Stopped. Everything finished so far is kept" in err
    assert "Traceback" not in out + err
    end = time.monotonic() + 20
    while (still := left(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    assert still == []


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
    while not came.wait(0.1):
        assert process.poll() is None, process.communicate()
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
    return folder


#: Sends itself SIGTERM when it opens its N-th file; with N = 0 it says how many it opens.
AT = """
import os, signal, sys, threading
from capcurriculum import cli
wanted, opened = int(sys.argv.pop(1)), 0
def hook(event, args):
    global opened
    if event == "open":
        opened += 1
        if opened == wanted:
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()
sys.addaudithook(hook)
code = cli.main(sys.argv[1:])
if not wanted:
    print("opened", opened)
raise SystemExit(code)
"""

#: Verbs that ask nobody anything.
LOCAL = {
    "status": ["RUN"],
    "funnel": ["RUN", "--overlap"],
    "why": ["RUN", "ROW"],
    "query": ["RUN", "select * from questions"],
    "report": ["RUN", "--out", "OUT.html"],
    "card": ["RUN", "--out", "OUT"],
    "curriculum": ["RUN", "--order", "merged"],
    "build": ["RECIPE"],
    "review export": ["RUN", "--size", "3", "--annotator", "ada", "--out", "OUT.html"],
    "signatures build": ["DATA", "--name", "B", "--question", "problem", "--out", "OUT"],
}


@pytest.mark.parametrize("verb", LOCAL)
def test_a_verb_that_only_reads_and_writes(verb: str, built: Path, tmp_path: Path) -> None:
    from capcurriculum.run import existing

    row = next(existing(built / "runs" / "small").questions.rows()).question_id
    places = {"RUN": built / "runs" / "small", "RECIPE": built / "small.yaml", "ROW": row,
              "DATA": built / "text" / "problems.jsonl"}  # fmt: skip
    words = [
        *verb.split(),
        *(str(places.get(word, word)).replace("OUT", str(tmp_path / "out")) for word in LOCAL[verb]),
    ]
    for _ in range(2):  # the second time some find their work done
        counting = command(["0", *words], "", AT)
        out, err = counting.communicate(timeout=120)
        assert counting.returncode == 0, err
    ended(command([str(int(out.split()[-1]) // 2), *words], str(tmp_path), AT), str(tmp_path))
    again = command(words, "")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err


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
        while len(server.requests) < 40:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.terminate()
        ended(process, str(tmp_path))
        asked = len(server.requests)
        again = command(["build", str(tmp_path / "small.yaml")], "")
        _, err = again.communicate(timeout=120)
        assert again.returncode == 0, err
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
    from tests.evaluating import line, tsv

    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(4)])
    with mute() as (url, came):
        words = ["evaluate", f"m={url}/v1", "--suite", str(file), "--out", str(tmp_path / "out")]
        stopped_at_a_mute_server(words, str(tmp_path), came)


@pytest.mark.parametrize("task", ["push", "pull", "status"])
def test_an_argilla_that_does_not_answer(task: str, built: Path, tmp_path: Path) -> None:
    pytest.importorskip("argilla", reason="argilla is not installed (extra `review`)")
    words = ["review", "export", str(built / "runs" / "small"), "--size", "3", "--annotator", "ada"]
    exported = command([*words, "--out", str(tmp_path / "page.html")], "")
    exported.communicate(timeout=120)
    with mute() as (url, came):
        words = ["review", task, str(built / "runs" / "small")]
        stopped_at_a_mute_server(words, str(tmp_path), came, ARGILLA_API_URL=url, ARGILLA_API_KEY="k" * 20)


@pytest.mark.parametrize("verb", ["publish", "publish-model", "download"])
def test_a_hub_that_does_not_answer(verb: str, tmp_path: Path) -> None:
    run = hub_runs.build(tmp_path, 6)
    checkpoint = tmp_path / "start"  # what is sent is put beside it
    shutil.copytree(Path(__file__).parents[1] / "datagen" / "micro" / "checkpoints" / "start", checkpoint)
    words = {
        "publish": ["publish", str(run.path), "--namespace", "me"],
        "publish-model": ["publish-model", str(checkpoint), "--repo", "me/model"],
        "download": ["download", "me/sets", "--to", str(tmp_path / "sets")],
    }[verb]
    with mute() as (url, came):
        variables = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_x", "HF_HUB_OFFLINE": "0"}
        stopped_at_a_mute_server(words, str(tmp_path), came, **variables)
