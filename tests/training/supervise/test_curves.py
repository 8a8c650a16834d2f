"""Curves of a training: the steps over all stages, and files that a light and a dark page can show."""

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from capcurriculum.errors import RunError, TrainerError
from capcurriculum.render import plot
from training.supervise import curves, metrics


def trained(folder: Path, stages: tuple[str, ...] = ("perception", "text"), steps: int = 20) -> None:
    for stage in stages:
        series = metrics.Series(folder / curves.METRICS, stage, 1)
        for step in range(1, steps + 1):
            data = {"critic/score/mean": step / 30, "reward/accuracy": step / 40, "response_length/mean": 50 - step}
            data |= {"val-aux/a/accuracy/mean@1": step / 50} if step % 5 == 0 else {}
            series.append({"step": step, "data": data})


def test_stages_follow_one_another(tmp_path: Path) -> None:
    trained(tmp_path, ("text", "perception"), 3)
    placed = curves.positions(metrics.load(tmp_path / curves.METRICS))
    assert placed.select("stage", "step", "x").rows() == [
        ("text", 1, 1), ("text", 2, 2), ("text", 3, 3), ("perception", 1, 4), ("perception", 2, 5), ("perception", 3, 6)
    ]  # fmt: skip


def validated(path: Path, steps: Sequence[tuple[str, int]], *stages: str) -> pl.DataFrame:
    """Steps that were validated on rows of some stages; step 0 is a validation alone."""
    for stage, step in steps:
        data = {f"val-core/capcurriculum/{name}/accuracy/mean@1": step / 10 for name in stages}
        metrics.Series(path, stage, 1).append(
            {"step": step, "data": data | ({"critic/score/mean": 1.0} if step else {})}
        )
    return metrics.load(path)


def test_a_validation_before_the_first_step_lies_at_the_end_of_the_stage_before(tmp_path: Path) -> None:
    whole = [("text", 0), ("text", 1), ("text", 2), ("visual", 1)]
    frame = validated(tmp_path / "all", whole, "text", "visual")
    assert curves.positions(frame)["x"].to_list() == [0, 1, 2, 3]
    assert curves.borders(frame) == [("text", 0.5, 2), ("visual", 2.5, 3)]
    frame = validated(tmp_path / "own", [*whole[:3], ("visual", 0), ("visual", 1)], "text")
    assert curves.positions(frame).select("stage", "x").rows()[-3:] == [("text", 2), ("visual", 2), ("visual", 3)]
    assert curves.borders(frame) == [("text", 0.5, 2), ("visual", 2.5, 3)]


def test_held_out_accuracy_comes_first_in_one_panel_of_one_training_and_in_one_each_of_several(tmp_path: Path) -> None:
    one = validated(tmp_path / "one", [("visual", 1), ("text", 1)], "perception", "text", "visual")
    found = curves.panels({"one": one})
    assert [panel.label for panel in found] == ["held-out accuracy", "reward"]
    assert list(found[0].lines) == ["visual", "text", "perception"]  # as they were taught
    assert found[0].words == "held-out accuracy of visual, text, perception"
    other = validated(tmp_path / "other", [("text", 1)], "text")
    found = curves.panels({"one": one, "other": other})
    assert [panel.words for panel in found] == [
        "visual (held out)", "text (held out)", "perception (held out)", "reward"
    ]  # fmt: skip
    assert [panel.label for panel in curves.panels({"none": other.select("stage", "step")})] == []


def test_every_training_is_in_the_legend_though_the_first_panel_has_no_line_of_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one = validated(tmp_path / "one", [("visual", 1)], "visual")
    other = validated(tmp_path / "other", [("text", 1)], "text")
    drawn = curves._figure(plot.figure_class(), {"one": one, "_other": other})
    assert [text.get_text() for text in drawn.axes[0].get_legend().get_texts()] == ["one", "other"]


def test_each_training_is_drawn_and_all_of_them_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    run = tmp_path / "demo"
    trained(run / "training")
    trained(run / "trainings" / "merged", ("merged",))
    files = curves.write(run)
    assert [str(file.relative_to(run)) for file in files] == [
        "training/curves.svg",
        "training/curves.png",
        "trainings/merged/curves.svg",
        "trainings/merged/curves.png",
        "curves.svg",
        "curves.png",
    ]
    first = files[0].read_bytes()
    assert b"fill: #ffffff" not in first  # no ground of its own
    assert curves.draw({"training": metrics.load(run / "training" / curves.METRICS)}, run / "training/curves")
    assert files[0].read_bytes() == first  # the same steps give the same file


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    series = metrics.Series(tmp_path / "training" / curves.METRICS, "text", 1)
    series.append({"step": 1, "data": {"critic/score/mean": 0.5}})
    assert len(curves.write(tmp_path)) == 2
    assert curves.write(tmp_path)[0].read_text().count('id="axes_') == 1


def test_nothing_to_draw_and_nothing_to_draw_with_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainerError, match="no trained step to draw; train first"):
        curves.write(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RunError, match="pip install matplotlib"):
        curves.draw({"a": pl.DataFrame()}, tmp_path / "curves")


def test_a_stage_whose_rows_were_measured_anew_is_marked_with_what_was_left(tmp_path: Path) -> None:
    for stage, about in (("text", {}), ("visual", {curves.REFRESHED: 0.6})):
        series = metrics.Series(tmp_path / curves.METRICS, stage, 1, about)
        for step in (1, 2):
            series.append({"step": step, "data": {"reward/flat": 0.5 / step}})
    frame = metrics.load(tmp_path / curves.METRICS)
    assert curves.refreshed(frame) == {"visual": 0.6}
    assert [panel.label for panel in curves.panels({"one": frame})] == ["no gradient (share)"]
    drawn = curves.picture({"one": frame}, "svg").decode()
    assert "refreshed, 60% of rows left" in drawn
    plain = curves.picture({"one": frame.drop(curves.REFRESHED)}, "svg").decode()
    assert "refreshed" not in plain
    assert drawn.count("stroke-dasharray") >= plain.count("stroke-dasharray")
