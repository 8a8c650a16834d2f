"""People check a judge: on a page in a real browser, and on a real Argilla."""

from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli
from evaluation.errors import cases, people, votes
from evaluation.errors.page import write
from evaluation.results.labels import measured
from tests.support import argilla_server, endpoint, planted_errors, results_data
from tests.support.argilla_server import Person
from tests.support.browsers import chromium
from tests.support.installed import needs
from tests.support.planted_errors import Judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six planted answers, judged."""
    planted_errors.planted(tmp_path, 6, 0.5)
    with endpoint.serving(Judge()) as judge:
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "1") == 0
    return tmp_path


def run(folder: Path, *words: str) -> int:
    return cli.main(["errors", "tested", "--in", str(folder), *words])


def said(folder: Path) -> dict[str, str]:
    """Case -> what was said of it."""
    return {one.case: one.kind for one in people.last(votes.place(measured(["tested"], str(folder))[0]))}


def test_a_person_answers_on_the_page_and_the_file_is_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "check.html"
    assert run(folder, "--export", str(path), "--annotator", "Ada") == 0
    noise: list[str] = []
    with chromium() as browser:
        page = browser.new_context(accept_downloads=True).new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("document.querySelector('article img').naturalWidth") > 0
        keys = page.evaluate("[...document.querySelectorAll('article')].map((one) => one.dataset.case)")
        for key in keys[:4]:
            page.check(f"#case-{key} input[value=wrong_count]")
        page.fill(f"#case-{keys[0]} .note", "three, not four")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.text_content("#progress") == "4 of 6 answered"
        assert page.text_content("#person") == "Ada"
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / "answers.jsonl")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert noise == []
    assert run(folder, "--check", str(tmp_path / "answers.jsonl")) == 0
    assert said(folder) == dict.fromkeys(keys[:4], "wrong_count")


EVIL = (
    '</pre></p></script><script>globalThis.owned = 1</script><img src="x" onerror="globalThis.owned = 2">'
    '<svg onload="globalThis.owned = 3"><a href="javascript:globalThis.owned = 4">here</a>'
    '<form action="https://evil.example"><input name="q"><style>body { display: none }</style>'
    '<meta http-equiv="refresh" content="0; url=https://evil.example"><iframe src="https://evil.example"></iframe>'
    "{{ 7 * 7 }} {% raw %} ${7 * 7} ]]> --> \x00 \u202e"
)


def test_what_a_model_says_is_shown_on_the_page_and_never_run(tmp_path: Path) -> None:
    own = results_data.reply("m", EVIL, EVIL, "wrong", prediction=EVIL, question=EVIL, gold=EVIL, options=(EVIL,))
    path = tmp_path / "page.html"
    write.write(path, EVIL, [cases.case(own)], tmp_path, EVIL.replace("\x00 \u202e", ""), tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600  # it holds a key
    noise: list[str] = []
    with chromium() as browser:
        page = browser.new_context().new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or noise.append(asked.url))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("globalThis.owned") is None
        count = "document.querySelectorAll('img, svg, a, form, iframe, main style, article script').length"
        assert page.evaluate(count) == 0
        assert page.evaluate("document.querySelectorAll('script, meta[http-equiv]').length") == 3
        shown = page.text_content(".question")
        assert shown is not None
        assert shown.startswith("</pre></p></script><script>globalThis.owned = 1</script>")
        assert "{{ 7 * 7 }} {% raw %} ${7 * 7}" in shown
        assert page.url == path.as_uri()
    assert noise == []


def test_people_answer_on_argilla_and_may_take_it_back(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("argilla", extra="review")
    with argilla_server.running(tmp_path_factory.mktemp("argilla")) as server:
        monkeypatch.setenv("ARGILLA_API_URL", server.url)
        monkeypatch.setenv("ARGILLA_API_KEY", server.login.api_key)
        assert run(folder, "--pull") == 2
        assert run(folder, "--push", "--create-workspace", "--check-size", "4") == 0
        assert run(folder, "--push", "--check-size", "5") == 0
        owner = Person.owner(server)
        there = records(owner)
        assert len(there) == 5
        assert all(one["fields"]["image_1"].startswith("data:image/webp") for one in there.values())
        first, *others = sorted(there)
        owner.answers({there[key]["id"]: {"mistake": "wrong_count"} for key in (first, *others[:2])})
        assert run(folder, "--pull") == 0
        assert said(folder) == dict.fromkeys((first, *others[:2]), "wrong_count")
        (mine,) = records(owner)[first]["responses"]
        owner.call("PUT", f"responses/{mine['id']}", json={"status": "draft", "values": {}})
        assert run(folder, "--pull") == 0
        assert said(folder) == dict.fromkeys(others[:2], "wrong_count")


def records(owner: Person) -> dict[str, Any]:
    """Case -> record."""
    words = {"limit": 1000, "include": "responses"}
    found = owner.call("GET", f"datasets/{owner.dataset()}/records", params=words)
    return {item["external_id"]: item for item in found["items"]}
