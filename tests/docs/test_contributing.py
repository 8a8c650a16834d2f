"""The filter that CONTRIBUTING.md shows is a filter."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from capcurriculum.recipe import filters, parse
from tests.filters.rules.test_text import question
from tests.support import worlds

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_example_is_a_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("filters.rules.brief")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    name, _, path = line.strip().rstrip(",").replace('"', "").partition(": ")
    monkeypatch.setattr(filters, "CLASSES", {**filters.CLASSES, name: path})
    listed = ["readable", {"name": name, "words": 5}, "perception", "rollouts", "difficulty"]
    recipe = parse(worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1").model_dump() | {"filters": listed}, "example")
    brief = recipe.filters[1]
    assert [brief.judge(question(text)).keep for text in ("What is it?", "What is it that stands there?")] == [
        True,
        False,
    ]
