"""The pixel canary in verl's own trainer, on a CPU; the benchmark `pixel_canary_caught` plants the other faults."""

import json
from pathlib import Path

import pytest

from benchmarks import pixel_canary
from benchmarks.canary_faults import CLEAN_LOOKS
from tests.support.installed import needs
from training.canary.rule import NONE

pytestmark = pytest.mark.slow
needs("verl", extra="train")


@pytest.mark.timeout(900)
def test_a_clean_training_is_seen_alike_at_its_start_and_with_its_checkpoint(tmp_path: Path) -> None:
    said, looks = pixel_canary.trained(tmp_path, "clean")
    assert [look["step"] for look in looks] == [0] * CLEAN_LOOKS + [1]
    assert {look["state"] for look in looks} == {"alike"}
    assert len({tuple(look["rows"]) for look in looks}) == CLEAN_LOOKS  # the checkpoint's look is at the first one's
    assert looks[-1]["rows"] == looks[0]["rows"]
    for look in looks:
        assert len(look["readings"]) == 24
        assert look["apart"] < 0.01 < 0.5 < look["rollout_reaction"]
        assert {reading["grown"] for reading in look["readings"]} == {0}
        assert sum(reading["picture"] == NONE for reading in look["readings"]) == 4
    assert "canary: before the first step trainer and rollout engine see the pictures alike" in said
    assert "canary: after step 1 trainer and rollout engine see the pictures alike" in said
    assert "perception: done, 1 steps" in said


@pytest.mark.timeout(900)
def test_pictures_of_other_rows_end_a_training_before_its_first_step(tmp_path: Path) -> None:
    said, looks = pixel_canary.trained(tmp_path, "swapped")
    assert pixel_canary.found(looks, "swapped")
    assert "The pixel canary ended perception: before the first step the trainer sees pictures of other rows" in said
    (plan,) = (tmp_path / "swapped/runs").rglob("plan.json")
    (stage,) = json.loads(plan.read_text())["stages"]
    assert stage["state"] == "failed"
    assert stage["error"] in said
    assert not list((tmp_path / "swapped/runs").rglob("global_step_*"))
