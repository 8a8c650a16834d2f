"""The comparison of a curriculum that follows the model with one that does not: its band and its intervals."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import refresh_compare
from benchmarks.curricula_rows import STAGES, Task
from benchmarks.refresh_compare import ARMS, StageOutcome
from capcurriculum.stats import PassRate


def outcome(mixed: float, right: float, spent: int = 0) -> StageOutcome:
    return StageOutcome(100, spent, 4096 - spent, mixed, {stage: {"a": right, "b": right} for stage in STAGES})


def write(folder: Path, ratios: list[float], gain: float = 0.1) -> Path:
    for seed, ratio in enumerate(ratios, 1):
        first, built, new = outcome(0.5, 0.4), outcome(0.5, 0.4), outcome(0.5 * ratio, 0.4 + gain, 1024)
        arms = dict(
            zip(ARMS, ({STAGES[0]: first, **dict.fromkeys(STAGES[1:], one)} for one in (built, new)), strict=True)
        )
        data = {arm: {stage: asdict(one) for stage, one in stages.items()} for arm, stages in arms.items()}
        (folder / f"seed-{seed}.json").write_text(json.dumps(data))
    return folder


def test_rows_outside_the_band_and_unread_ones_are_left_out_and_the_rest_are_easy_to_hard() -> None:
    counts = {"none": (0, 8), "all": (8, 8), "hard": (1, 8), "easy": (7, 8), "middle": (4, 8), "unread": (2, 3)}
    tasks = [Task(name, "text", "", "", "", (), None) for name in counts]
    rates = {name: PassRate(k, n, 8 - n) for name, (k, n) in counts.items()}
    assert [task.name for task in refresh_compare.in_band(rates, tasks)] == ["easy", "middle", "hard"]


def test_the_ratio_has_an_interval_over_seeds(tmp_path: Path) -> None:
    assert refresh_compare.mixed_low(write(tmp_path, [1.1])) is None  # one seed tells nothing of others
    same = refresh_compare.mixed_ratio(refresh_compare.finished(write(tmp_path, [1.1, 1.1, 1.1])))
    assert same is not None
    assert (same.mean, same.low, same.high) == pytest.approx((1.1, 1.1, 1.1))
    found = refresh_compare.mixed_ratio(refresh_compare.finished(write(tmp_path, [1.0, 1.1, 1.21])))
    assert found is not None
    assert found.mean == pytest.approx(1.1)
    # log ratios 0, d and 2d: half a width is t(2) d / sqrt(3) with d = ln 1.1
    assert found.high / found.mean == pytest.approx(1.1 ** (4.303 / 3**0.5))


def test_the_gain_is_refreshed_minus_as_built(tmp_path: Path) -> None:
    assert refresh_compare.final_gain(tmp_path) is None
    assert refresh_compare.final_gain(write(tmp_path, [1.0, 1.0], 0.1)) == pytest.approx(10)
    page = "\n".join(refresh_compare.lines(refresh_compare.finished(tmp_path)))
    assert "| text | refreshed | 100 | 3,072 | 1,024 |" in page
    assert "Held-out accuracy after visual, refreshed minus as built, points: mean +10.0 (+10.0 to +10.0)" in page
