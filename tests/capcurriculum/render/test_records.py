"""What a query shows: all of every value, in a table where it fits and row by row where it does not."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from capcurriculum.errors import RunError
from capcurriculum.render import records

COLUMNS = ("question_id", "problem", "options")
ROWS = [("3f2a", "How many red cubes are left of the\nlarge sphere?", ["one", "two"]), ("77b1", None, ["a" * 90])]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Standard output is a terminal of 60 columns."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    return monkeypatch


def test_a_table_that_does_not_fit_is_shown_row_by_row(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records.show(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "row 1",
        "  question_id  3f2a",
        "  problem      How many red cubes are left of the",
        "               large sphere?",
        "  options      ['one', 'two']",
        "row 2",
        "  question_id  77b1",
        "  problem",
        f"  options      ['{'a' * 90}']",
    ]
    terminal.setenv("COLUMNS", "200")
    records.show(COLUMNS, ROWS)
    assert "row 1" not in capsys.readouterr().out


def test_what_is_no_terminal_gets_every_value_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    records.show(("a", "b"), [("x" * 300, "y" * 300)])
    assert capsys.readouterr().out.splitlines()[1].split() == ["x" * 300, "y" * 300]


def test_escapes_in_values_and_names_are_not_obeyed(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records.show(("a\x1b[2J", "b"), [("\x1b[2J\u202e", "z" * 100)])
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed
    assert r"\x1b[2J\u202e" in printed


def test_json_holds_what_the_table_holds(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "none": None,
        "text": "a\x1b\u202e\n\U000e0001é",
        "number": 0.1,
        "nan": float("nan"),
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "price": Decimal("1.50"),
        "bytes": b"\x00\xff",
        "list": [{"a": 1}],
        "flag": True,
    }
    records.print_json(tuple(row), [tuple(row.values())] * 2)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    read = json.loads(printed)
    assert read[0] == read[1] == row | {
        "nan": "nan", "when": "2026-01-02 00:00:00+00:00", "price": "1.50", "bytes": "AP8="
    }  # fmt: skip
    records.print_json(("a",), [])
    assert json.loads(capsys.readouterr().out) == []


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(RunError, match="Two columns are called 'a'; give one another name"):
        records.print_json(("a", "a"), [(1, 2)])
