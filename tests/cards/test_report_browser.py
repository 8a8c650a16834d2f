"""The page on a run in a real Chromium, opened from the disk: what a reader sees, and that nothing of the run runs."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.ledger import funnel
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards.report import write
from cards.report.write import data_folder, report
from tests.cards.test_report_trainings import trained
from tests.support import report_runs

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `browser`)")

QUESTIONS = 110
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium; install Debian's `chromium`, or name one in CHROMIUM")
    # In a container the superuser has no user namespace to put the sandbox in.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = report_runs.make(tmp_path_factory.mktemp("planted"), QUESTIONS, nasty=True)
    trained(run)
    return run


@pytest.fixture(scope="module")
def files(planted: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {"one": report(planted, folder / "one.html", Display())}
    found["few"] = report(planted, folder / "few.html", Display(), rows=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ONE_FILE_ROWS", 10)
        patch.setattr(write, "INDEX_ROWS", 50)
        found["beside"] = report(planted, folder / "be side#1.html", Display())
    return found


class Reader:
    """A page in a browser that may not leave this machine, with everything it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, scheme: str = "light", fragment: str = "") -> None:
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready]")

    def count(self) -> str:
        """The line that says how many rows are shown."""
        return str(self.page.locator("#count").inner_text())

    def choose(self, facet: str, value: str) -> None:
        """Pick a value of a filter."""
        self.page.locator(f"select[name={facet}]").select_option(value)

    def close(self) -> None:
        """End, and hold what must hold whatever was done."""
        assert self.complaints == []
        assert {url.split(":")[0] for url in self.asked} <= {"file", "data"}
        assert self.page.evaluate("globalThis.owned") is None
        self.context.close()


@pytest.mark.parametrize("kind", ["one", "beside"])
def test_the_page_opens_filters_searches_and_shows_images(
    browser: Any, planted: Run, files: dict[str, Path], kind: str
) -> None:
    reader = Reader(browser, files[kind])
    page = reader.page
    total = planted.questions.count() + 3
    assert reader.count() == f"{total} rows"
    assert page.locator("#cards > li").count() == 48
    page.locator("#gallery").evaluate("element => element.scrollIntoView()")
    image = page.locator("#cards img").first
    sync_api.expect(image).to_have_js_property("naturalWidth", 160)
    reader.choose("stage", "text")
    assert reader.count() == f"11 of {total} rows"
    page.locator("#reset").click()
    key = planted.questions.frame("question_id")["question_id"][5]
    page.locator("#search").fill(key[:8])
    sync_api.expect(page.locator("#count")).to_have_text(f"1 of {total} row")
    page.locator("#search").fill('"what is 7 + 8" sum')
    sync_api.expect(page.locator("#count")).to_have_text(f"1 of {total} row")
    assert page.locator("#cards .frame.text").inner_text().startswith("What is 7 + 8?")
    assert "text=%22what+is+7" in page.url
    page.locator("#reset").click()
    page.locator("#after").click()
    assert page.locator("#page").inner_text() == "page 2 of 3"
    reader.close()


def test_a_part_of_the_funnel_leads_to_its_rows(browser: Any, planted: Run, files: dict[str, Path]) -> None:
    reader = Reader(browser, files["beside"])
    line = next(x for x in funnel.lines(planted) if x.filter == "perception")
    reason, count = max(line.dropped.items(), key=lambda item: item[1])
    reader.page.locator(f"#funnel table a[href*='reason={reason}']").click()
    assert reader.count().startswith(f"{count} of ")
    assert reader.page.locator("select[name=reason]").input_value() == reason
    assert set(reader.page.locator("#cards .chip:first-child").all_inner_texts()) == {reason.replace("_", " ")}
    # A filter's own choices stay to choose from, and the others show what is left of them.
    shown = reader.page.locator("select[name=reason] option").all_inner_texts()
    assert {text for text in shown if text != "any"} == {
        f"{name.replace('_', ' ')} ({number})" for name, number in line.dropped.items()
    }
    label = next(x for x in funnel.lines(planted) if x.labelled)
    reader.page.go_back()
    for why, number in label.labelled.items():
        reader.page.locator(f"#funnel table a[href*='reason={why}']").click()
        assert reader.count().startswith(f"{number} of ")
    reader.page.go_back()
    assert reader.count().startswith(f"{planted.questions.count() + 3} rows")
    reader.close()


@pytest.mark.parametrize("kind", ["one", "beside"])
def test_a_link_to_one_question_shows_all_of_it_as_text(
    browser: Any, planted: Run, files: dict[str, Path], kind: str
) -> None:
    question = next(q for q in planted.questions.rows() if "<script>" in q.text and "onerror" in "".join(q.options))
    reader = Reader(browser, files[kind], fragment=f"#q={question.question_id[:12]}")
    dialog = reader.page.locator("#one")
    dialog.locator("table").first.wait_for()
    shown = dialog.evaluate("element => element.textContent")
    for text in (question.text, *question.options, question.caption):
        assert text.replace("\0", "�") in shown.replace("\0", "�")
    replies = [a for a in planted.answers.rows() if a.question_id == question.question_id]
    assert dialog.locator("details").count() == len(replies) == 12
    for number, reply in enumerate(sorted(replies, key=lambda a: a.purpose == "rollout")[:1]):
        dialog.locator("summary").nth(number).click()
        assert dialog.locator("pre").nth(number).inner_text().startswith("<think>")
        assert f"\\boxed{{{reply.answer}}}" in reply.text
    assert dialog.locator("script, iframe, [onerror]").count() == 0
    assert dialog.locator(".options .key").inner_text().startswith(question.answer)
    reader.close()


@pytest.mark.parametrize("kind", ["one", "beside"])
def test_curves_and_replies_of_a_training_are_shown(browser: Any, files: dict[str, Path], kind: str) -> None:
    pytest.importorskip("matplotlib")
    reader = Reader(browser, files[kind])
    section = reader.page.locator("#training")
    sync_api.expect(section.locator("img.curves")).to_have_js_property("complete", True)
    assert section.locator("img.curves").evaluate("image => image.naturalWidth") > 100
    assert section.locator("tbody tr").count() == len(report_runs.NASTY)
    said = section.locator(".reply").all_inner_texts()
    assert any(text.startswith("reply 1 </script><script>globalThis.owned") for text in said)
    assert section.locator("script, [onerror]").count() == 0
    reader.close()


def test_the_keyboard_does_everything(browser: Any, files: dict[str, Path]) -> None:
    reader = Reader(browser, files["beside"])
    page, keys = reader.page, reader.page.keyboard
    keys.press("j")
    keys.press("j")
    assert page.evaluate("document.activeElement.dataset.at") == "1"
    keys.press("Enter")
    page.wait_for_selector("#one[open]")
    first = page.locator("#one-title").inner_text()
    keys.press("ArrowRight")
    sync_api.expect(page.locator("#one-title")).not_to_have_text(first)
    assert page.locator("#one-title").inner_text() in page.url
    keys.press("ArrowLeft")
    sync_api.expect(page.locator("#one-title")).to_have_text(first)
    keys.press("Escape")
    page.wait_for_selector("#one", state="hidden")
    assert page.evaluate("document.activeElement.dataset.at") == "1"
    keys.press("n")
    assert page.locator("#page").inner_text() == "page 2 of 3"
    keys.press("/")
    keys.type("njpk")  # letters are text in the search field
    sync_api.expect(page.locator("#count")).to_have_text(re.compile(r"^0 of"))
    assert page.locator("#page").inner_text() == "page 1 of 1"
    reader.close()


def test_an_id_that_is_not_there_and_data_that_is_lost_are_said(
    browser: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    reader = Reader(browser, files["one"], fragment="#q=nothing")
    assert "No row of this page has this id" in reader.page.locator("#one-body").inner_text()
    reader.close()
    alone = shutil.copy(files["beside"], tmp_path / "alone.html")
    page = browser.new_page()
    page.goto(Path(alone).as_uri())
    sync_api.expect(page.locator("#count")).to_contain_text("is missing beside this page")
    page.close()


def test_a_script_put_beside_the_data_does_not_run(browser: Any, planted: Run, tmp_path: Path) -> None:
    """Markup that reached the page by whatever way could not run: the policy knows one script and one nonce."""
    path = report(planted, tmp_path / "page.html", Display(), rows=12)
    (tmp_path / "other.js").write_text("globalThis.owned = 4")
    bad = '<script src="other.js"></script><script>globalThis.owned = 5</script><img src="x.png" onerror="owned = 6">'
    path.write_text(path.read_text("utf-8").replace("<main>", f"<main>{bad}"), "utf-8")
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("globalThis.owned") is None
    assert sum("Content Security Policy" in text for text in refused) >= 3
    with pytest.raises(sync_api.Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>'")
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, files: dict[str, Path], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8")
    reader = Reader(browser, files["few"], scheme)
    for opened in (False, True):
        if opened:
            reader.page.locator("#cards a").first.click()
            reader.page.locator("#one table").first.wait_for()
        found = reader.page.evaluate(source + "\n;axe.run()")
        told = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in found["violations"]]
        assert told == []
        assert len(found["passes"]) > 10
    reader.close()


def test_light_and_dark_differ(browser: Any, files: dict[str, Path]) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        reader = Reader(browser, files["few"], scheme)
        colours.add(reader.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        reader.close()
    assert len(colours) == 2
    assert all(re.fullmatch(r"rgb\(\d+, \d+, \d+\)", colour) for colour in colours)


def test_nothing_beside_a_small_page(files: dict[str, Path]) -> None:
    assert not data_folder(files["one"]).exists()
    assert data_folder(files["beside"]).is_dir()
