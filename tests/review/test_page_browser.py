"""The review page in a real Chromium, opened from the disk, worked by keys alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum import cli
from tests.support import report_runs
from tests.support.browsers import chromium

#: Characters that the two languages might write differently.
ODD = '"quoted" \\ / </script> é 語 👩\u200d🔬 \u2028\u2029 \x01\x1b\x7f\x85\n\ttwo lines'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = review_world.made(tmp_path_factory.mktemp("planted"), 30, seed=4)
    assert cli.main(["review", "export", str(made.run.path), "--size", "6", "--annotator", "Ada"]) == 0
    return made


def opened(browser: Any, page: Path) -> tuple[Any, list[str]]:
    shown = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True).new_page()
    said: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or said.append(asked.url))
    shown.goto(page.as_uri())
    shown.wait_for_selector("html[data-ready]")
    return shown, said


def test_a_person_reviews_by_keys_saves_goes_on_and_the_answers_change_the_run(
    browser: Any, world: World, tmp_path: Path
) -> None:
    path = world.run.path / "review.html"
    page, said = opened(browser, path)
    assert page.locator("#caption").is_hidden()
    assert page.evaluate("document.querySelector('#picture img').naturalWidth") == 96
    asked = {q.question_id: q for q in world.run.questions.rows()}
    given: dict[str, str] = {}
    for _ in range(4):
        key = page.text_content("#place").split(" · ")[-1]
        question, right = asked[key], world.truth[key]
        given[key] = "yes" if question.answer == right else right
        for pressed in ("y",) if question.answer == right else ("n", right.lower()):
            page.keyboard.press(pressed)
        page.keyboard.press("4")
        page.keyboard.press("]")
        page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    page.fill("#comment", ODD)  # signed as JavaScript writes it, checked as Python does
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.press("v")
    assert page.locator("#caption").is_visible()
    assert page.text_content("#progress") == "4 of 6 answered"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.text_content("#progress") == "4 of 6 answered"
    assert page.text_content("#reviewer") == "Ada"
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    file = tmp_path / "answers.jsonl"
    download.value.save_as(file)
    assert said == []
    # Another browser has none of it until the file is loaded.
    other, _ = opened(browser, path)
    assert other.text_content("#progress") == "0 of 6 answered"
    other.set_input_files("#load", file)
    other.wait_for_selector("#progress:text('4 of 6 answered')")
    assert cli.main(["review", "import", str(world.run.path), str(file)]) == 0
    assert ODD in {row.comment for row in world.run.reviews.rows()}
    told = {row.question_id: row.choice or row.right for row in world.run.reviews.rows()}
    assert told == given
    human = {v.question_id: (v.reason, v.detail) for v in world.run.verdicts.rows() if v.filter == "human"}
    assert human == {k: ("kept", "") if v == "yes" else ("key_corrected", v) for k, v in given.items()}


def test_what_a_run_says_is_shown_and_never_run(browser: Any, tmp_path: Path) -> None:
    run = report_runs.make(tmp_path, 12, nasty=True)
    words = ["--size", "12", "--design", "random", "--annotator", "</b><script>globalThis.owned = 1</script>"]
    assert cli.main(["review", "export", str(run.path), *words]) == 0
    page, said = opened(browser, run.path / "review.html")
    texts = {q.text for q in run.questions.rows() if q.options}
    for _ in range(12):
        page.keyboard.press("n")
        page.keyboard.press("v")
        page.keyboard.press("m")
        assert page.evaluate("globalThis.owned") is None
        assert page.text_content("#problem") in texts
        assert page.locator("#options img, #problem script, #caption img, #solvers img").count() == 0
        page.keyboard.press("ArrowRight")
    assert said == []


def test_a_page_on_a_telephone_has_no_sideways_scroll(browser: Any, world: World) -> None:
    page, _ = opened(browser, world.run.path / "review.html")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
