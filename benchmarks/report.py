"""The report of 20,000 questions with 2,000 images in a headless Chromium: how long it ever stops answering."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUESTIONS, IMAGES = 20_000, 2_000
_WATCH = """
globalThis.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, entry.duration);
}).observe({ type: "longtask", buffered: true });
"""


def longest_freeze_ms() -> float | None:
    """The longest task of the page while it loads, filters, searches, turns pages and opens questions."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = _page(Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_init_script(_WATCH)
        for step, value in use(page, page_file).items():
            print(f"{step}: {value:.0f} ms")
        longest = float(page.evaluate("longest"))
        browser.close()
    return longest


def use(page: Any, page_file: Path) -> dict[str, float]:
    """What a reader does -> the longest task while it is done, in ms; below 50 ms a task does not count as long."""
    keys = page.keyboard
    found: dict[str, float] = {}

    def measured(name: str, act: Callable[[], object]) -> None:
        if found:  # before the first page there is nothing to count from
            page.evaluate("longest = 0")
        act()
        page.wait_for_timeout(700)
        found[name] = float(page.evaluate("longest"))

    def load() -> None:
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=120_000)

    def search() -> None:
        page.locator("#search").press_sequentially("patch 17 blue", delay=150)

    def leaf() -> None:
        page.locator("#reset").click()
        page.locator("#count").click()
        for _ in range(20):
            keys.press("n")

    def read() -> None:
        page.locator("#cards a").first.click()
        for _ in range(60):
            keys.press("ArrowRight")

    measured("load", load)
    measured("filter", lambda: page.locator("select[name=reason]").select_option("right_from_image"))
    measured("search", search)
    measured("leaf", leaf)
    measured("read", read)
    page.evaluate(f"longest = {max(found.values())}")
    return found


def _page(folder: Path) -> Path:
    from capcurriculum.render.progress import Display
    from cards.report.write import report
    from tests.support import report_runs

    return report(report_runs.make(folder, QUESTIONS, IMAGES, k=16), folder / "report.html", Display(), 2 * QUESTIONS)
