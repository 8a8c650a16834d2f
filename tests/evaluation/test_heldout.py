"""Comparing models on held-out rows."""

import io
import random
from pathlib import Path

import pytest
from rich.console import Console

from capcurriculum.stats import gain
from evaluation import heldout_table
from evaluation.results.results import HeldOut


def test_a_paired_interval_sees_what_two_separate_ones_would_not() -> None:
    draw = random.Random(3)
    before = {str(row): draw.choice([0.0, 0.25, 0.5, 0.75]) for row in range(200)}
    after = {row: share + 0.25 * (int(row) % 4 == 0) for row, share in before.items()}
    found = gain(before, after)
    assert found.rows == 200
    assert found.mean == pytest.approx(0.0625)
    assert 0.04 < found.low < found.mean < found.high < 0.09
    assert gain(before, after) == found  # the draws are seeded


def test_no_difference_has_zero_inside() -> None:
    draw = random.Random(4)
    before = {str(row): draw.random() for row in range(100)}
    after = dict(zip(before, random.Random(5).sample(list(before.values()), 100), strict=True))
    found = gain(before, after)
    assert found.low < 0 < found.high


def test_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="same rows"):
        gain({"a": 1.0}, {"b": 1.0})


def score(model: str, stage: str, rates: list[float], tokens: float = 15.0) -> HeldOut:
    mean = sum(rates) / len(rates)
    by_row = {str(row): rate for row, rate in enumerate(rates)}
    return HeldOut(
        model=model, stage=stage, rows=len(rates), replies=2 * len(rates), accuracy=mean, half_width=0.05,
        unparsed=0.01, tokens=tokens, rates=by_row,
    )  # fmt: skip


CHAIN = [
    score("start", "text", [0.5] * 80),
    score("start", "perception", [0.5] * 80),
    score("after perception", "text", [0.5] * 76 + [0.0] * 4),
    score("after perception", "perception", [1.0] * 20 + [0.5] * 60),
    score("after text", "text", [1.0] * 40 + [0.5] * 40, tokens=22),
    score("after text", "perception", [0.5] * 80),
]


def test_one_table_has_a_column_for_each_stage_and_gains_over_the_start() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(heldout_table.table(CHAIN))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[0] == ["after", "perception", "text"]  # in the order of training
    assert lines[2] == ["start", "50.0%", "50.0%"]
    assert lines[3] == ["perception", "62.5%", "47.5%"]
    assert lines[4][0] == "+12.5"
    assert lines[5] == ["text", "50.0%", "75.0%"]


def test_what_each_stage_did_is_measured_against_the_one_before() -> None:
    first, second, whole, how = heldout_table.sentences(CHAIN)
    assert first.startswith("Stage perception: +12.5 (")
    assert "lost text -2.5 (" in first
    assert second.startswith("Stage text: +27.5 (")
    assert "lost perception -12.5 (" in second
    assert whole.startswith("In all, against the start: perception +0.0 (")
    assert "text +25.0 (" in whole
    assert how.startswith("2 replies a row")
    assert "15 to 22 tokens" in how
    loss = heldout_table.worst_loss(CHAIN)
    assert loss is not None
    assert loss.mean == pytest.approx(-0.125)


def test_a_model_that_was_not_trained_has_no_gain_and_no_loss() -> None:
    assert len(list(heldout_table.sentences(CHAIN[:2]))) == 1
    assert heldout_table.worst_loss(CHAIN[:2]) is None


def test_the_picture_is_drawn_for_light_and_dark_pages(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    svg, png = heldout_table.draw(CHAIN, tmp_path / "heldout")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"fill: #ffffff" not in svg.read_bytes()
    assert svg.read_text().count("LineCollection") >= 2  # an interval for each stage


def test_too_few_rows_are_said_and_nothing_is_claimed_of_them() -> None:
    few = [
        score("start", "text", [0.5] * 7),
        score("start", "perception", [0.5] * 40),
        score("after perception", "text", [0.5] * 7),
        score("after perception", "perception", [1.0] * 40),
    ]
    stage, whole, told, _ = heldout_table.sentences(few)
    assert stage.endswith("points on its own rows.")
    assert "text +0.0 (-41." in whole
    assert told == "Too few rows to tell a gain from a loss: text (7 rows)."
    assert few[0].low < 0.4 < 0.6 < few[0].high
