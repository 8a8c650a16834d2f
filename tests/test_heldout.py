"""Comparing models on held-out rows."""

import random

import pytest

from capcurriculum.paired import gain


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
