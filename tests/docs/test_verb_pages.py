"""The pages of the verbs are what their help says."""

from tools import verb_pages


def test_pages_are_what_help_says() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in verb_pages.FOLDER.glob("*.md")}
    assert there == verb_pages.pages(), "run `python -m tools.verb_pages`"


def test_every_page_has_an_example() -> None:
    without = [name for name, text in verb_pages.pages().items() if name != "index.md" and "Example: " not in text]
    assert not without
