"""The series of a chain's steps, the view of a stage, and which checkpoint of it goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capcurriculum.errors import RecipeError, TrainerError
from training.checkpoints import selection
from training.knobs import backbone
from training.supervise import live_view, metrics


def record(step: int, **data: float | None) -> dict[str, Any]:
    return {"step": step, "data": {"critic/score/mean": step / 10, **data}}


def series(root: Path, stage: str = "perception", attempt: int = 1) -> metrics.Series:
    return metrics.Series(root / "metrics.parquet", stage, attempt)


def test_each_step_stands_once_over_attempts_and_stages(tmp_path: Path) -> None:
    first = series(tmp_path)
    first.begin(0, tmp_path / "none")
    for step in (1, 2, 3):
        first.append(record(step))
    second = series(tmp_path, attempt=2)
    second.begin(2, tmp_path / "none")
    second.append(record(3, **{"val-aux/a/accuracy/mean@1": 0.5}))
    other = series(tmp_path, "text")
    other.begin(0, tmp_path / "none")
    other.append(record(1))
    found = metrics.load(tmp_path / "metrics.parquet")
    assert found.select("stage", "attempt", "step").rows() == [
        ("perception", 1, 1),
        ("perception", 1, 2),
        ("perception", 2, 3),
        ("text", 1, 1),
    ]
    assert found["val-aux/a/accuracy/mean@1"].to_list() == [None, None, 0.5, None]


def test_steps_that_only_the_trainer_wrote_down_are_taken_up(tmp_path: Path) -> None:
    first = series(tmp_path)
    first.begin(0, tmp_path / "none")
    first.append(record(1))
    left = tmp_path / "verl-metrics.jsonl"
    left.write_text("".join(json.dumps(record(step)) + "\n" for step in (1, 2, 3)) + '{"step": 4, "da')
    second = series(tmp_path, attempt=2)
    second.begin(2, left)  # step 3 was not saved, so it is made again
    assert second.steps().select("attempt", "step").rows() == [(1, 1), (1, 2)]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    one = series(tmp_path)
    one.append({"step": 1, "data": {"a": None, "b": "text", "c": 2, "stage": 7.0}})
    row = metrics.load(tmp_path / "metrics.parquet").row(0, named=True)
    assert (row["stage"], row["c"]) == ("perception", 2.0)
    assert not {"a", "b"} & row.keys()


def test_a_damaged_series_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.parquet").write_bytes(b"PAR1")
    with pytest.raises(TrainerError, match=r"metrics\.parquet is damaged .* move it away"):
        series(tmp_path)


def step(number: int) -> dict[str, Any]:
    data = {"reward/accuracy": 0.25 * number, "timing_s/step": 3.0, "timing_s/testing": 1.0, "actor/kl_loss": None}
    return record(number, **data)


def test_a_line_says_what_is_known_and_the_time_to_come() -> None:
    view = live_view.View("text", 12, 0)
    assert view.seconds_left is None
    view.step(step(2))
    assert view.line() == "text: step 2/12  reward 0.200  accuracy 0.500  s/step 3.0  left 0:00:40"


def test_the_view_is_drawn_on_a_terminal_only() -> None:
    console = Console(force_terminal=True, width=160, color_system=None)
    view = live_view.View("text", 4, 0, "stage 2 of 3")
    for number in (1, 2, 3):
        view.step(step(number))
    with console.capture() as drawn:
        console.print(view)
    shown = drawn.get()
    assert all(word in shown for word in ("text (stage 2 of 3)", "step 3 of 4", "accuracy", "0.750", "▁▅█"))
    view.looked = "text: canary: after step 2 both see the pictures alike"
    with console.capture() as drawn:
        console.print(view)
    assert view.looked in drawn.get().splitlines()[-1]
    plain = Console(force_terminal=False)
    with plain.capture() as nothing, view.shown(plain):
        pass
    assert nothing.get() == ""


KNOBS = backbone("micro").knobs.model_copy(update={"save_every": 2})


@pytest.mark.parametrize(("every", "said"), [(0, "never validates"), (3, "make validate_every a multiple")])
def test_periods_that_lose_the_best_are_refused(every: int, said: str) -> None:
    knobs: Any = KNOBS.model_copy(update={"validate_every": every})
    with pytest.raises(RecipeError, match=said):
        selection.check("best", knobs, "perception")
    selection.check("last", knobs, "perception")
    selection.check("best", KNOBS.model_copy(update={"validate_every": 4}), "perception")  # type: ignore[arg-type]


def save(checkpoints: Path, number: int) -> None:
    folder = selection.weights(checkpoints, number)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(str(number))


def test_the_best_step_outlives_the_trainers_own_deleting(tmp_path: Path) -> None:
    one, checkpoints, aside = series(tmp_path), tmp_path / "trainer", tmp_path / "best"
    for number, accuracy in ((2, 0.4), (4, 0.7), (6, 0.7), (8, 0.5)):
        save(checkpoints, number)
        one.append(record(number, **{"val-aux/a/accuracy/mean@1": accuracy, "val-core/a/reward/mean@1": 1 - accuracy}))
        selection.keep_best(one.steps(), checkpoints, aside)
        if number > 2:
            (selection.weights(checkpoints, number - 2) / "model.safetensors").unlink()  # verl keeps one
    assert [folder.name for folder in aside.iterdir()] == ["step_4"]
    chosen = selection.choose("best", one.steps(), 8, checkpoints, aside)
    assert (chosen.step, chosen.accuracy) == (4, 0.7)
    assert (chosen.weights / "model.safetensors").read_text() == "4"
    assert selection.choose("last", one.steps(), 8, checkpoints, aside).step == 8


def test_several_validation_sets_count_alike_and_none_is_said(tmp_path: Path) -> None:
    one = series(tmp_path)
    one.append(record(2, **{"val-aux/a/accuracy/mean@1": 1.0, "val-aux/b/accuracy/mean@1": 0.5, "val-aux/a/x": 9.0}))
    one.append(record(3))
    assert selection.accuracies(one.steps()) == {2: 0.75}
    with pytest.raises(TrainerError, match="has both its weights and its validation"):
        selection.choose("best", one.steps(), 3, tmp_path / "trainer", tmp_path / "best")


def validated(**accuracies: float) -> dict[str, float]:
    return {f"val-aux/capcurriculum/{stage}/accuracy/mean@2": value for stage, value in accuracies.items()}


def test_a_stage_is_judged_by_its_own_rows_where_all_are_validated_on(tmp_path: Path) -> None:
    one = series(tmp_path, "text")
    for number, own, other in ((0, 0.9, 0.1), (2, 0.3, 0.9), (4, 0.5, 0.1)):
        save(tmp_path / "trainer", number)
        one.append(record(number, **validated(**{"text": own, "visual": other})))
    assert selection.accuracies(one.steps()) == {0: 0.9, 2: 0.3, 4: 0.5}
    chosen = selection.choose("best", one.steps(), 4, tmp_path / "trainer", tmp_path / "best")
    assert chosen.step == 4  # step 0 is the parent, not a checkpoint of the stage


def test_a_step_that_is_validated_again_on_resuming_stands_once(tmp_path: Path) -> None:
    one = series(tmp_path)
    one.append(record(2, **validated(text=0.5)))
    one.append(record(2, **validated(text=0.6)))
    assert selection.accuracies(one.steps()) == {2: 0.5}


def test_a_stage_that_begins_anew_is_validated_anew(tmp_path: Path) -> None:
    left = tmp_path / "verl-metrics.jsonl"
    left.write_text(json.dumps(record(0, **validated(text=0.9))) + "\n")
    one = series(tmp_path, "text")
    one.append(record(0, **validated(text=0.5)))
    again = series(tmp_path, "text", 2)
    again.begin(0, left)
    assert again.steps().is_empty()
    again.append(record(0, **validated(text=0.7)))
    again.append(record(1))
    resumed = series(tmp_path, "text", 3)
    resumed.begin(1, tmp_path / "none")
    assert resumed.steps()["step"].to_list() == [0, 1]
    assert selection.accuracies(resumed.steps()) == {0: 0.7}


def test_held_out_accuracy_is_in_the_line_of_its_step_only() -> None:
    view = live_view.View("text", 4, 0)
    view.step(record(0, **validated(perception=0.5, text=0.25)))
    assert view.line() == "text: step 0/4  reward 0.000  held-out perception 50.0%  held-out text 25.0%"
    view.step(record(1, **{"reward/flat": 0.3125}))
    assert view.line() == "text: step 1/4  reward 0.100  no gradient 31%"
    console = Console(force_terminal=True, width=160, color_system=None)
    with console.capture() as drawn:
        console.print(view)
    assert "held-out perception" in drawn.get()  # the last that is known


def test_prompts_without_two_different_scores_are_counted() -> None:
    replay = pytest.importorskip("training.on_verl.sampler")

    def told(*scores: float | None) -> list[dict[str, Any]]:
        return [{"reward_extra_info": {} if score is None else {"score": score}} for score in scores]

    keys = ["a_b_0_0", "a_b_1_0", "c_0_0", "c_1_0", "d_0_0", "d_1_0", "e_0_0"]
    assert replay.flat(keys, told(1.0, 1.0, 1.0, 0.1, 0.0, None, None)) == {"reward/flat": pytest.approx(2 / 3)}
    assert replay.flat(["a_0_0"], [{}]) == {}
