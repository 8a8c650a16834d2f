"""The page of the comparison says what its intervals say."""

import random
from pathlib import Path

import pytest

from benchmarks import curricula_page
from benchmarks.curricula_page import BEGIN, END, Result
from capcurriculum.results import HeldOut as Score

STAGES = ("perception", "text")


def result(way: str, seed: int, gain: float) -> Result:
    scores = {}
    for stage in STAGES:
        draw = random.Random(stage)  # rows are as hard for every model
        rates = {f"{stage}{row}": min(1.0, draw.choice([0.0, 0.5]) + gain) for row in range(120)}
        mean = sum(rates.values()) / 120
        scores[stage] = Score(way, stage, 120, 240, mean, 0.1, 0.0, 20.0 + seed, rates)
    return Result(way, seed, 10, 1000, scores)


def page(folder: Path, found: list[Result]) -> str:
    file = folder / "experiments.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    curricula_page.write(found, {}, folder, ["merged", "difficulty", "staged 3-2-1"])
    text = file.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    return text


@pytest.mark.slow
def test_a_difference_that_is_there_is_named(tmp_path: Path) -> None:
    found = [result("start", 0, 0.0)]
    for seed in (1, 2, 3):
        found += [result("merged", seed, 0.1), result("difficulty", seed, 0.1), result("staged 1-2-3", seed, 0.3)]
    text = page(tmp_path, found)
    assert "Seeds run: 3. Held-out rows: 120 perception, 120 text; 2 replies" in text
    clear = "staged 1-2-3 above on perception; staged 1-2-3 above on text; staged 1-2-3 above on the mean"
    assert f"Against merged these intervals exclude zero: {clear}. Of 6 such intervals about 0.3" in text
    assert "difficulty above on text" in text.partition("against merged")[0]  # all of them have left the start behind
    assert "+20.0 (+20.0 to +20.0)" in text
    assert "| merged | 10 | 1,000 |" in text
    assert "With one seed" not in text


@pytest.mark.slow
def test_no_difference_is_a_result_and_one_seed_is_said(tmp_path: Path) -> None:
    text = page(tmp_path, [result("start", 0, 0.0), result("merged", 1, 0.1), result("difficulty", 1, 0.1)])
    assert "No interval against merged excludes zero: no difference was found at this size." in text
    assert "Not trained here: staged 3-2-1." in text
    assert "With one seed the intervals speak of the rows only" in text


@pytest.mark.slow
def test_seeds_that_only_some_ways_have_are_told_and_not_compared(tmp_path: Path) -> None:
    found = [result("start", 0, 0.0), result("merged", 1, 0.1), result("difficulty", 1, 0.1), result("merged", 2, 0.1)]
    text = page(tmp_path, found)
    assert "Seeds run: 2 (merged), 1 (difficulty)." in text
    assert "| difficulty | +0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | 1 |" in text


def test_nothing_trained_is_said(tmp_path: Path) -> None:
    assert "Nothing has been trained yet." in page(tmp_path, [])
