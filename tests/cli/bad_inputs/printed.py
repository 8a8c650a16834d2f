"""Text that is not ours and would mean something to a terminal, wherever a user meets it: it is shown, not obeyed."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks import review_world
from benchmarks.review_world import World
from tests.cli.bad_inputs.corpus import Case
from tests.support.reviewing import copied

#: What it does to a terminal -> the text, and a part of it as it must be shown (a pattern).
HOSTILE = {
    "clears the screen": ("a\x1b[2Jb", r"a\\x1b\[2Jb"),
    "sets the title": ("a\x1b]0;x\x07b", r"a\\x1b\]0;x\\x07b"),
    "writes the clipboard": ("a\x1b]52;c;aGk=\x1b\\b", r"a\\x1b\]52;c;aGk=\\x1b"),
    "makes a link": ("a\x1b]8;;http://x\x1b\\b", r"a\\x1b\]8;;http:/"),
    "overwrites its line": ("a\rb", r"a\\rb"),
    "forges a line": ("a\nerror: all is well", r"a\\nerror: all is well"),
    "is an escape of eight bits": ("a\x9b31mb", r"a\\x9b31mb"),
    "turns its direction": ("a\u202eb", r"a\\u202eb"),
    "ends a line for some": ("a\u2028b", r"a\\u2028b"),
    "has no width": ("a\u200b\ufeffb", r"a\\u200b\\ufeffb"),
    "deletes": ("a\x08\x7fb", r"a\\x08\\x7fb"),
}
_BASE: dict[str, Any] = {
    "name": "bad",
    "models": {"m": {"engine": "openai", "model": "m", "base_urls": ["http://127.0.0.1:9/v1"]}},
    "text": {"source": {"kind": "problems", "path": "text", "source": "s", "license": "mit"}},
    "rollouts": {"model": "m"},
}


def _recipe(place: str, what: str) -> Case:
    text, shown = HOSTILE[what]
    changes: dict[str, dict[str, Any]] = {
        "a key": {text: 1},
        "a key of a section": {"text": _BASE["text"] | {text: 1}},
        "the name": {"name": text},
        "a kind": {"text": {"source": _BASE["text"]["source"] | {"kind": text}}},
        "a model that is not there": {"rollouts": {"model": text}},
    }

    def make(folder: Path) -> list[str]:
        Path("recipe.yaml").write_text(yaml.safe_dump(_BASE | changes[place]), encoding="utf-8")
        return ["build", "recipe.yaml", "--dry-run"]

    told = {"the name": "not right: name", "a kind": r"not right: text\.source\.kind"}.get(place, shown)
    return Case(f"{place} {what}", make, f"error: .*{told}")


def _words(what: str, *words: str) -> Case:
    text, shown = HOSTILE[what]
    return Case(f"{' '.join(words)} {what}", lambda folder: [word.replace("TEXT", text) for word in words], shown)


@functools.cache
def _world() -> World:
    folder = tempfile.TemporaryDirectory(prefix="bad-printed-")
    _KEPT.append(folder)
    return review_world.made(Path(folder.name), 4)


_KEPT: list[Any] = []


def _query(what: str, *more: str) -> Case:
    text, shown = HOSTILE[what]
    if more and "\n" in text:
        shown = 'a error: all is well"'  # a cell keeps its line ends between its quotes, and white space is one blank

    def make(folder: Path) -> list[str]:
        letters = " || ".join(f"chr({ord(letter)})" for letter in text)
        sql = f"select {letters} as one, 1 as two"
        return ["query", str(copied(_world(), folder).run.path), sql, *more]

    if not more and "\n" in text:
        shown = "a 1"  # a cell of a table keeps its lines
    return Case(f"query {' '.join(more)} {what}", make, shown, 0)


def _csv(name: str, sql: str, expected: str) -> Case:
    def make(folder: Path) -> Callable[[], int]:
        path = str(copied(_world(), folder).run.path)

        def ask() -> int:
            import contextlib
            import io

            from capcurriculum import cli

            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = cli.main(["query", path, sql, "--csv"])
            print("as expected" if out.getvalue() == expected else repr(out.getvalue()))
            return code

        return ask

    return Case(name, make, "^as expected$", 0)


CASES = [
    *(_recipe(place, what) for place in ("a key", "a key of a section", "the name", "a kind",
                                         "a model that is not there") for what in HOSTILE),
    *(_words(what, *words) for words in (("status", "TEXT"), ("TEXT",), ("build", "x.yaml", "--TEXT"),
                                         ("evaluate", "TEXT", "--suite", "main")) for what in HOSTILE),
    *(_query(what, *more) for more in ((), ("--csv",)) for what in HOSTILE),
    _csv("CSV with plain ends", "select 1 as a, null as b, 'x' as c", "a,b,c\n1,,x\n"),
    _csv("CSV with quotes", "select 'a,b' as a, 'c\"d' as b", 'a,b\n"a,b","c""d"\n'),
    _csv("CSV of lines", "select 'a' || chr(10) || 'b' as a", 'a\n"a\nb"\n'),
    _csv("CSV of other ends", "select 'a' || chr(13) || chr(10) || 'b' as a", 'a\n"a\\r\nb"\n'),
    _csv("CSV of tabs and letters", "select 'a' || chr(9) || 'é語' as a", "a\na\té語\n"),
    _csv("CSV with a column that escapes", 'select 1 as "a\x1b[2J"', "a\\x1b[2J\n1\n"),
]  # fmt: skip
