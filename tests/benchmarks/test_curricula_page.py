"""The page of the comparison says what its intervals say."""

from pathlib import Path

import pytest

from benchmarks import curricula_contrast, curricula_page, curricula_verl
from benchmarks.curricula_arms import FIRST
from benchmarks.curricula_page import BEGIN, END, Finished
from benchmarks.curricula_records import Outcome
from benchmarks.curricula_state import START, Job, State
from tests.support.curricula_outcomes import outcome

BASE = [(Job("needs", START, 0.0, 0), outcome(0.0, 0.0, 0.0, steps=0))]


def arm(name: str, seed: int, *gains: float, version: str = "needs") -> tuple[Job, Outcome]:
    return Job(version, name, 2e-4, seed), outcome(*gains)


def page(folder: Path, finished: Finished) -> str:
    file = folder / "experiments.md"
    file.write_text(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n")
    curricula_page.write(finished, folder)
    text = file.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "of yesterday" not in text
    return text


def test_a_difference_that_is_there_is_named(tmp_path: Path) -> None:
    found = [*BASE]
    for seed in range(1, 6):
        found += [arm("merged", seed, 0.1, 0.1, 0.1), arm("staged 1-2-3", seed, 0.1, 0.1, 0.3)]
    text = page(tmp_path, found)
    assert "on the visual rows of `needs`: +20.0 (+20.0 to +20.0) points; by seed +20.0, +20.0, +20.0" in text
    assert "The interval excludes zero: staged 1-2-3 is above merged here." in text
    assert "Half-width 0.0 points, 5 seeds." in text
    assert "falls short" not in text
    clear = "staged 1-2-3 above on visual; staged 1-2-3 above on the mean"
    assert (
        f"Against merged these intervals exclude zero: {clear}. Of 4 such intervals about 0.2 would by chance." in text
    )
    assert "| merged | 0.0002 | 768 |" in text
    assert "Seeds 1, 2, 3, 4, 5. Held-out rows: 120 perception, 120 text, 120 visual." in text
    assert (tmp_path / "curricula_compare.svg").is_file()


def test_no_difference_and_too_few_seeds_are_said(tmp_path: Path) -> None:
    text = page(tmp_path, [*BASE, arm("merged", 1, 0.1, 0.1, 0.1), arm("staged 1-2-3", 1, 0.1, 0.1, 0.1)])
    assert (
        "The interval holds zero: no difference was found, and none between +0.0 and +0.0 points is excluded." in text
    )
    assert "It falls short of what was wanted: 1 seeds instead of 5." in text
    assert "With one seed the interval speaks of the rows only" in text
    assert "No interval against merged excludes zero" in text
    assert "Where an arm has one seed, intervals speak of the rows only" in text
    assert "Not trained in this version: staged 3-2-1, difficulty, capability x difficulty." in text


def test_a_wide_interval_is_said(tmp_path: Path) -> None:
    found = [*BASE]
    for seed, gain in enumerate([0.0, 0.2, 0.0, 0.2, 0.1], 1):
        found += [arm("merged", seed, 0.1, 0.1, 0.1), arm("staged 1-2-3", seed, 0.1, 0.1, gain)]
    text = page(tmp_path, found)
    assert "It falls short of what was wanted: a half-width of" in text
    assert "The interval holds zero" in text


def test_seeds_that_only_some_arms_have_are_told_and_not_compared(tmp_path: Path) -> None:
    found = [
        *BASE,
        arm("merged", 1, 0.1, 0.1, 0.1),
        arm("merged", 2, 0.1, 0.1, 0.1),
        arm("difficulty", 2, 0.1, 0.1, 0.1),
    ]
    text = page(tmp_path, found)
    assert "Seeds merged: 1, 2; difficulty: 2." in text
    assert (
        "| difficulty | +0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | 1 |"
        in text
    )
    assert "No seed has both arms yet." in text


def test_what_stage_1_alone_teaches_is_said(tmp_path: Path) -> None:
    found = [*BASE, (Job("control", START, 0.0, 0), outcome(0.0, 0.0, 0.1, steps=0))]
    assert "Stage 1 alone" not in page(tmp_path, found)
    for seed in (1, 2):
        found += [arm(FIRST, seed, 0.2, 0.0, 0.2), arm(FIRST, seed, 0.2, 0.0, 0.1, version="control")]
    text = page(tmp_path, found)
    assert "2 seeds: perception +20.0 (+20.0 to +20.0); visual rows of `needs` +20.0 (+20.0 to +20.0)" in text
    assert "of `control` +0.0 (+0.0 to +0.0); `needs` more than `control` by +20.0 (+20.0 to +20.0): stage 1 te" in text
    less = [*BASE, found[1], arm(FIRST, 1, 0.2, 0.0, 0.0), arm(FIRST, 1, 0.2, 0.0, 0.1, version="control")]
    assert "that `needs` gains more is not shown" in page(tmp_path, less)


def test_nothing_trained_and_spare_seeds_alone_are_said(tmp_path: Path) -> None:
    assert "No seed has both arms yet." in page(tmp_path, [])
    spare = (Job("needs", "merged", 1e-4, 0), outcome(0.1, 0.1, 0.1, spare=True))
    assert "| merged |" not in page(tmp_path, [*BASE, spare])


def test_the_benchmarks_numbers_are_those_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert curricula_contrast.staged_minus_merged(tmp_path) is None
    assert "run python -m benchmarks.curricula_compare" in capsys.readouterr().out
    assert curricula_contrast.compare_seeds(tmp_path) is None
    for job, one in [arm("merged", 1, 0.1, 0.1, 0.1), arm("staged 1-2-3", 1, 0.1, 0.1, 0.3)]:
        State(tmp_path).save(job, one)
    assert curricula_contrast.staged_minus_merged(tmp_path) == pytest.approx(20.0)
    assert "+20.0 (+20.0 to +20.0) points, 1 seeds" in capsys.readouterr().out
    assert curricula_contrast.compare_seeds(tmp_path) == 1


def test_loop_and_verl_agree_or_they_do_not() -> None:
    before = {f"row{row}": 0.5 for row in range(100)}
    better = {row: 1.0 if place % 3 else 0.5 for place, row in enumerate(before)}
    assert "the gains agree within noise" in curricula_verl.said(curricula_verl.agreement(before, better, better))
    assert "the gains differ by more than noise" in curricula_verl.said(
        curricula_verl.agreement(before, better, before)
    )
