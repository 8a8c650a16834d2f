"""Every example of docs/grading.md, by the grader."""

import re

import pytest

from capcurriculum.answers import grade, kind_of
from capcurriculum.grading.kinds import Kind
from capcurriculum.rows import Outcome
from tests.support import ROOT

PAGE = ROOT / "docs" / "grading.md"
_SPAN = re.compile(r"`([^`]+)`")
_CELL = re.compile(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")


def examples() -> list[tuple[str, str, str, bool]]:
    """(heading, gold answer, answer, whether it is right) of every table of gold answers."""
    found, heading, inside = [], "", False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading, inside = line.lstrip("# "), False
        elif line.startswith("| gold |"):
            inside = True
        elif inside and line.startswith("| `"):
            key, right, wrong = (_SPAN.findall(cell) for cell in _CELL.split(line)[1:-1])
            found += [(heading, key[0], answer, True) for answer in right]
            found += [(heading, key[0], answer, False) for answer in wrong]
        elif not line.startswith("|"):
            inside = False
    return found


def test_the_page_has_examples_for_every_kind() -> None:
    headings = {word for heading, *_ in examples() for word in heading.split(", ")}
    assert headings == {kind.value for kind in Kind}
    assert len(examples()) > 200


@pytest.mark.parametrize(("heading", "gold", "answer", "right"), examples())
def test_an_example_holds(heading: str, gold: str, answer: str, right: bool) -> None:
    graded = grade(rf"<think>t</think> \boxed{{{answer}}}", gold)
    assert (graded.outcome is Outcome.RIGHT) == right, graded
    assert graded.outcome is not Outcome.FAILED
    assert kind_of(gold) in heading.split(", ") or heading in (
        "number",
        "quantity",
        "expression",
        "equation",
        "interval",
    )
