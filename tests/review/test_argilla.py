"""A review on a real Argilla: pushed, answered by people, pulled, interrupted, and looked at in a browser."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum import cli
from capcurriculum.errors import ReviewError
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from review import sample
from review.argilla import connection, layout, pull, push
from review.argilla.push import Wanted
from tests.support import argilla_server, report_runs
from tests.support.argilla_server import Person
from tests.support.browsers import chromium
from tests.support.installed import needs
from tests.support.reviewing import copied
from tools.review_server import Server

needs("argilla", "tenacity", extra="review")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with argilla_server.running(tmp_path_factory.mktemp("argilla")) as running:
        yield running


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return review_world.made(tmp_path_factory.mktemp("original"), 60)


@pytest.fixture
def world(original: World, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A run of its own whose dataset is removed afterwards."""
    monkeypatch.setenv("ARGILLA_API_URL", server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", server.login.api_key)
    yield copied(original, tmp_path)
    owner = Person.owner(server)
    for one in owner.call("GET", "me/datasets")["items"]:
        owner.call("DELETE", f"datasets/{one['id']}")


def review(run: Run, task: str, *words: str) -> int:
    return cli.main(["review", task, str(run.path), *words])


def start(world: World, *words: str) -> None:
    assert review(world.run, "push", "--create-workspace", *words) == 0


def account(printed: str, name: str) -> str:
    return re.findall(rf"{name} can sign in with the password (\S+),", printed)[0]


def test_people_answer_and_their_answers_come_back_whatever_happened_meanwhile(
    world: World, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    run, owner = world.run, Person.owner(server)
    start(world, "--size", "12", "--annotator", "ada", "--annotator", "bob", "--overlap", "2")
    printed = capsys.readouterr().out
    assert "12 records are new in reviewed" in printed
    people = [Person.signed_in(server, name, account(printed, name)) for name in ("ada", "bob")]
    first = set(owner.records())
    assert review(run, "push", "--annotator", "ada") == 0
    printed = capsys.readouterr().out
    assert "0 records are new in reviewed on" in printed
    assert "12 were there before" in printed
    assert "password" not in printed
    assert review(run, "push", "--size", "20") == 0
    there = owner.records()
    assert first < set(there)
    assert len(there) == 20
    one = next(iter(there.values()))
    assert one["fields"]["image"].startswith("data:image/webp;base64,")
    assert {"stage", "skill", "source", "reason", "version", "image_digest", "pass_rate"} <= one["metadata"].keys()

    asked = {q.question_id: q for q in run.questions.rows()}
    keys = sorted(there)
    said: dict[str, dict[str, Any]] = {}
    for key in keys:
        question, right = asked[key], world.truth[key]
        said[key] = {"right": "yes", "quality": 4, "kind": "count"}
        if question.answer != right:
            said[key] = {"right": "no", "choice": right, "comment": "<b>no</b>"}
    for person in people:
        person.answers({there[key]["id"]: values for key, values in said.items()})
    assert review(run, "status") == 0
    printed = capsys.readouterr().out
    assert re.search(r"all +20 +20 +20 +100%", printed)
    assert re.search(r"ada +20", printed)

    assert review(run, "pull") == 0
    printed = capsys.readouterr().out
    assert "40 new reviews from reviewed, 0 known before" in printed
    assert "agreement on" in printed
    rows = list(run.reviews.rows())
    assert len({row.annotator for row in rows}) == 2
    assert all(row.annotator.startswith("person-") for row in rows)
    human = {v.question_id: (v.reason, v.detail) for v in run.verdicts.rows() if v.filter == "human"}
    assert human == {
        key: ("kept", "") if asked[key].answer == world.truth[key] else ("key_corrected", world.truth[key])
        for key in keys
    }
    before = run.reviews.count(), run.verdicts.count()
    assert review(run, "pull") == 0
    assert "0 new reviews from reviewed, 40 known before" in capsys.readouterr().out
    assert (run.reviews.count(), run.verdicts.count()) == before

    # Meanwhile: one record is deleted, one is changed, one response is taken back and one becomes a draft.
    deleted, edited, back, draft = keys[:4]
    owner.call("DELETE", f"datasets/{owner.dataset()}/records", params={"ids": there[deleted]["id"]})
    fields = there[edited]["fields"] | {"question": "Something else?"}
    owner.call("PATCH", f"records/{there[edited]['id']}", json={"fields": fields})
    there = owner.records()
    mine = {key: _response_of(there[key], owner, "ada") for key in (back, draft)}
    people[0].call("DELETE", f"responses/{mine[back]['id']}")
    people[0].call("PUT", f"responses/{mine[draft]['id']}", json={"status": "draft", "values": {}})
    people[0].answers({there[edited]["id"]: {"right": "no", "choice": "none"}})
    assert review(run, "pull") == 0
    printed = capsys.readouterr().out
    for words in (
        "1 new reviews", "2 responses were taken back", "1 responses are about records edited",
        "1 records show something else", "1 records that were pushed are no longer there",
    ):  # fmt: skip
        assert words in printed
    human = {v.question_id: v.reason for v in run.verdicts.rows() if v.filter == "human"}
    assert human[edited] != "no_option_right"

    # Somebody leaves the server, and takes their responses there with them.
    users = {user["username"]: user["id"] for user in owner.call("GET", "users")["items"]}
    owner.call("DELETE", f"users/{users['bob']}")
    count = run.reviews.count()
    assert review(run, "pull") == 0
    assert "1 people are no longer on the server; their reviews stay" in capsys.readouterr().out
    assert run.reviews.count() == count
    assert run.path.joinpath("review.json").is_file()
    for path in run.path.rglob("*"):
        assert not path.is_file() or server.login.api_key.encode() not in path.read_bytes()


def _response_of(record: dict[str, Any], owner: Person, username: str) -> dict[str, Any]:
    users = {user["username"]: user["id"] for user in owner.call("GET", "users")["items"]}
    return next(r for r in record["responses"] if r["user_id"] == users[username])


def test_a_killed_push_and_a_killed_pull_go_on_and_double_nothing(
    world: World, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, run = Random(5), world.run
    words = [sys.executable, "-c", _SLOWLY, "push", str(run.path), "--create-workspace", "--size", "40"]
    for _ in range(2):
        _killed(words, rng)
    start(world, "--size", "40")
    owner = Person.owner(server)
    found = owner.call("GET", f"datasets/{owner.dataset()}/records", params={"limit": 1000})["items"]
    names = [item["external_id"] for item in found]
    assert len(names) == len(set(names)) == 40
    owner.answers({item["id"]: {"right": "yes"} for item in found})
    for _ in range(2):
        _killed([*words[:3], "pull", str(run.path)], rng)
    assert review(run, "pull") == 0
    rows = [row.review_id for row in run.reviews.rows()]
    assert len(rows) == len(set(rows)) == 40
    human = [v.question_id for v in run.verdicts.rows() if v.filter == "human"]
    assert len(human) == len(set(human)) == 40


#: The command with requests so small that a kill falls between two of them.
_SLOWLY = """
import sys, time
from capcurriculum import cli
from review.argilla import pull, push
push.BATCH, pull.PAGE, pull._FLUSH = 2, 3, 2
raise SystemExit(cli.main(["review", *sys.argv[1:]]))
"""


def _killed(words: list[str], rng: Random) -> None:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(rng.uniform(2, 6))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_trouble_that_passes_is_waited_out_and_lasting_trouble_is_one_sentence(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "BATCH", 4)
    with argilla_server.door(server.url) as door:
        monkeypatch.setenv("ARGILLA_API_URL", door.url)
        turns = iter([500, 0, 503, None, 429, 502] * 50)
        door.trouble = lambda path: next(turns) if "bulk" in path else None
        start(world, "--size", "12")
        assert len(Person.owner(server).records()) == 12
        door.trouble = lambda path: 500 if "records" in path else None
        at = connection.connect(patience=2.0)
        with (
            writing(world.recipe) as run,
            pytest.raises(ReviewError, match=r"keeps failing \(500.*run the same command"),
        ):
            pull.pull(run, world.recipe, at, Display())
        before = len(door.asked)
        door.trouble = lambda path: 403
        with pytest.raises(ReviewError, match="ARGILLA_API_KEY"):
            at.call("GET", "me/datasets")
        assert len(door.asked) == before + 1  # what cannot pass is not asked twice


def test_a_server_that_restarts_midway_is_waited_for(
    original: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "BATCH", 1)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 600.0)
    world = copied(original, tmp_path)
    failed: list[BaseException] = []

    def pushing() -> None:
        try:
            start(world, "--size", "40")
        except BaseException as error:
            failed.append(error)

    with argilla_server.running(tmp_path / "home") as server:
        monkeypatch.setenv("ARGILLA_API_URL", server.url)
        monkeypatch.setenv("ARGILLA_API_KEY", server.login.api_key)
        port = int(server.url.rsplit(":", 1)[1])
        thread = threading.Thread(target=pushing)
        thread.start()
        end = time.monotonic() + 300
        while push.pushes(world.run).count() < 3 and time.monotonic() < end:
            time.sleep(0.05)
    with argilla_server.running(tmp_path / "home", port) as server:
        thread.join(300)
        assert not failed
        assert len(Person.owner(server).records()) == 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def signed_in(browser: Any, server: Server, username: str, password: str) -> Any:
    page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
    page.set_default_timeout(120_000)
    page.route("**/*", lambda r: r.continue_() if "//127.0.0.1" in r.request.url else r.abort())
    page.goto(f"{server.url}/sign-in")
    page.fill("input:not([type=password])", username)
    page.fill("input[type=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.goto(f"{server.url}/dataset/{Person.owner(server).dataset()}/annotation-mode")
    page.wait_for_selector("text=Is the marked answer right")
    return page


def test_a_person_annotates_three_records_in_the_browser(
    world: World, server: Server, browser: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start(world, "--size", "5", "--annotator", "eve")
    page = signed_in(browser, server, "eve", account(capsys.readouterr().out, "eve"))
    page.wait_for_function("[...document.images].some(i => i.naturalWidth === 96)")
    assert page.locator("details").count() == 2
    assert not page.locator("details div").first.is_visible()
    page.locator("summary", has_text="Caption").click()
    assert page.locator("details div").first.inner_text().startswith("The image shows")
    for number, labels in enumerate((["Yes"], ["No", "none of them"], ["Cannot tell"]), 1):
        for label in labels:
            page.get_by_text(label, exact=True).first.click()
        page.locator("button:has-text('Submit')").first.click()
        page.wait_for_function(f"document.body.innerText.match(/Submitted\\s*{number}\\b/)")
    assert review(world.run, "pull") == 0
    told = sorted((row.right, row.choice) for row in world.run.reviews.rows())
    assert told == [("cannot_tell", ""), ("no", "none"), ("yes", "")]


def test_what_a_run_says_is_shown_as_text_on_argilla(
    server: Server, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    run = report_runs.make(tmp_path / "nasty", 10, nasty=True)
    assert cli.main(["review", "push", str(run.path), "--create-workspace", "--size", "5", "--design", "random"]) == 0
    asked = {re.findall(r"patch (\d+) of", q.text)[0]: q for q in run.questions.rows() if q.options}
    met = set()
    page = signed_in(browser, server, server.login.username, server.login.password)
    for number in range(1, 6):
        page.wait_for_function("[...document.images].some(i => i.naturalWidth > 50)")
        for summary in page.locator("summary").all():
            summary.click()
        shown = page.locator("body").inner_text()
        patch = re.findall(r"patch (\d+) of", shown)[0]
        met.add(patch)
        for text in (asked[patch].text, asked[patch].caption, *asked[patch].options):
            assert _same(layout.plain(text), shown)
        assert page.evaluate("globalThis.owned") is None
        assert page.locator("img[src=x], details img, details script, .katex").count() == 0
        if number < 5:
            page.keyboard.press("ArrowRight")
            page.wait_for_function(f"!document.body.innerText.includes('patch {patch} of')")
    assert len(met) == 5
    assert sample.needed(run).design.kind == "random"
    assert push.dataset_name(run.recipe()) == "planted"


def _same(text: str, shown: str) -> bool:
    """Whether a text is on the page, white space aside."""
    return " ".join(text.split()) in " ".join(shown.split())


def test_a_workspace_is_made_only_when_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    other = world.recipe.model_copy(
        update={"review": world.recipe.review.model_copy(update={"workspace": "elsewhere"})}
    )
    with writing(other) as run:
        at = connection.connect()
        with pytest.raises(ReviewError, match="--create-workspace"):
            push.push(run, other, sample.Sample(sample.Design("random"), (), ()), at, Wanted(), Display())
