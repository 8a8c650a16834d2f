"""Builds over one small source, which say what became of its rows: a source that loses all of them stops the build."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.bad_inputs.corpus import Case
from tests.support import source_data as data

_MODEL = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"], "model": "m"}
#: Where a caption's or a problem's rows lie, and how they are read.
CAPTIONS = {"kind": "captions", "columns": {"id": "id", "image": "image", "caption": "caption"}}
PROBLEMS = {"kind": "problems", "columns": {"problem": "problem", "answer": "answer"}}


def build(**source: Any) -> list[str]:
    """Write a recipe over the source in `data/` and give the words that build it."""
    stage = "perception" if source["kind"] in ("captions", "docci", "pixmo") else source.pop("stage", "text")
    section: dict[str, Any] = {"source": {"path": "data"} | source}
    if stage == "perception":
        section |= {"teacher": {"model": "m"}, "probe": {"solvers": ["m"]}}
    recipe = {"name": "r", "models": {"m": _MODEL}, stage: section, "rollouts": {"model": "m"}}
    Path("recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return ["build", "recipe.yaml"]


def row(name: str, values: object, says: str, **keys: Any) -> Case:
    """A source of the one row `values`: an object, or the line itself."""

    def make(folder: Path) -> list[str]:
        Path("data").mkdir()
        text = values if isinstance(values, bytes) else json.dumps(values).encode()
        Path("data/rows.jsonl").write_bytes(text + b"\n")
        Path("data/a.png").write_bytes(data.picture(1))
        return build(**keys)

    return Case(f"row: {name}", make, says)


def caption(name: str, says: str, **values: object) -> Case:
    """A source of one captioned picture with other values than its own."""
    return row(name, {"id": "1", "image": "a.png", "caption": "A red square."} | values, says, **CAPTIONS)


def problem(name: str, says: str, **values: object) -> Case:
    """A source of one problem with other values than its own."""
    return row(name, {"problem": "What is 1 + 1?", "answer": "2"} | values, says, **PROBLEMS)


def file(name: str, content: bytes | Callable[[Path], object], says: str, **keys: Any) -> Case:
    """A source whose one data file, `name` behind a colon, has this content, or is what `content` makes at its path."""

    def make(folder: Path) -> list[str]:
        path = Path("data") / name.rsplit(": ", 1)[-1]
        path.parent.mkdir()
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
        return build(**(keys or PROBLEMS))

    return Case(f"file: {name}", make, says)
