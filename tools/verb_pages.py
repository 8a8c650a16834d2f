"""Write a page for every verb from its own help: `python -m tools.verb_pages`. A test says when one is out of date."""

import io
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from capcurriculum.cli import app

FOLDER = Path(__file__).parents[1] / "docs" / "verbs"
_WIDTH = 100


def pages() -> dict[str, str]:
    """File name -> Markdown, one for each verb and the index."""
    verbs = {name: list(_helps([name])) for name in sorted(_commands(app))}
    made = {f"{name}.md": _page(parts) for name, parts in verbs.items()}
    lines = [f"| [{name}]({name}.md) | {_summary(parts[0][1])} |" for name, parts in verbs.items()]
    head = "# Verbs\n\nEach page is what `capcurriculum VERB --help` prints.\n\n| verb | what it does |\n|---|---|\n"
    return made | {"index.md": head + "\n".join(lines) + "\n"}


def write() -> None:
    """Write all pages, and remove those of verbs that are gone."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _commands(of: App) -> list[str]:
    return [name for name in of if not name.startswith("-")]


def _helps(words: list[str]) -> Iterator[tuple[str, str]]:
    """The words of a verb and its help; then those of its tasks, where it has some."""
    out = io.StringIO()
    app.help_print(words, console=Console(file=out, width=_WIDTH, color_system=None))
    yield " ".join(words), "\n".join(line.rstrip() for line in out.getvalue().strip().split("\n"))
    for task in _commands(app[words[0]]) if len(words) == 1 else ():
        yield from _helps([*words, task])


def _page(parts: list[tuple[str, str]]) -> str:
    return "\n".join(
        f"{'#' if number == 0 else '##'} capcurriculum {words}\n\n```\n{text}\n```\n"
        for number, (words, text) in enumerate(parts)
    )


def _summary(text: str) -> str:
    """The first paragraph below the usage."""
    return " ".join(text.split("\n\n")[1].split())


if __name__ == "__main__":
    write()
