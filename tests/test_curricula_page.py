"""The page of the comparison says what its intervals say."""

from pathlib import Path

from benchmarks import curricula_page
from benchmarks.curricula_page import BEGIN, END, Finished
from benchmarks.curricula_state import START, Job
from tests.curricula_outcomes import outcome

BASE = [(Job("needs", START, 0.0, 0), outcome(0.0, 0.0, 0.0, steps=0))]


def arm(name: str, seed: int, *gains: float, version: str = "needs") -> tuple[Job, object]:
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
    assert "`needs`: perception +10.0 (+10.0 to +10.0), visual +30.0 (+30.0 to +30.0) (5 seeds)" in text
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


def test_nothing_trained_and_spare_seeds_alone_are_said(tmp_path: Path) -> None:
    assert "No seed has both arms yet." in page(tmp_path, [])
    spare = (Job("needs", "merged", 1e-4, 0), outcome(0.1, 0.1, 0.1, spare=True))
    assert "| merged |" not in page(tmp_path, [*BASE, spare])
