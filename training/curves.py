"""Reward, accuracy and response length against step over all stages of a training, like the paper's figure.

SVG and PNG in the look of `capcurriculum.drawing`, beside the training and, of several together, in the run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from capcurriculum import drawing
from capcurriculum.errors import TrainerError
from training import metrics, selection

METRICS = "metrics.parquet"
_FEW = 12  # steps up to which every one is marked, and nothing smoothed


class Panel(NamedTuple):
    """What one of the axes shows: its label and verl's metric."""

    label: str
    metric: str


_ACCURACY = "reward/accuracy"
PANELS = (
    Panel("reward", "critic/score/mean"),
    Panel("accuracy", _ACCURACY),
    Panel("response length (tokens)", "response_length/mean"),
)


def trainings(run_dir: Path) -> dict[str, Path]:
    """Name -> folder of every training of a run that has steps."""
    folders = [run_dir / "training", *sorted((run_dir / "trainings").glob("*"))]
    return {folder.name: folder for folder in folders if (folder / METRICS).is_file()}


def write(run_dir: Path) -> list[Path]:
    """Draw each training of a run in its own folder, and several together in the run's; returns the files.

    Raises:
        TrainerError: no step has been trained.
        RunError: matplotlib is missing.
    """
    found = trainings(run_dir)
    if not found:
        raise TrainerError(f"{run_dir} has no trained step to draw; train first (capcurriculum train).")
    series = {name: metrics.load(folder / METRICS) for name, folder in found.items()}
    files = [file for name, folder in found.items() for file in draw({name: series[name]}, folder / "curves")]
    return files + (draw(series, run_dir / "curves") if len(series) > 1 else [])


def draw(series: Mapping[str, pl.DataFrame], stem: Path) -> list[Path]:
    """Draw the trainings over each other into `stem`.svg and `stem`.png; a panel that none has numbers for is left out.

    Raises:
        RunError: matplotlib is missing.
    """
    figure_class = drawing.figure_class()
    panels = [p for p in PANELS if any(p.metric in f.columns and f[p.metric].count() for f in series.values())]
    with drawing.style():
        figure = figure_class(figsize=(8, 1 + 1.9 * max(len(panels), 1)), dpi=150)
        axes = figure.subplots(max(len(panels), 1), 1, sharex=True, squeeze=False)[:, 0]
        for number, (name, frame) in enumerate(series.items()):
            colour = drawing.GREY if len(series) == 1 else drawing.STYLES[number % len(drawing.STYLES)][0]
            _borders(axes, frame, colour, len(series) == 1)
            for one, panel in zip(axes, panels, strict=False):
                _line(one, frame, panel, name, number)
        for one, panel in zip(axes, panels, strict=False):
            circles = panel.metric == _ACCURACY and any(selection.accuracies(f) for f in series.values())
            one.set_ylabel(f"{panel.label}\n(o: validation)" if circles else panel.label)
        if len(series) > 1:  # above the panels, where it hides no line
            columns = min(3, len(series))
            axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False)
        axes[-1].set_xlabel("step")
        figure.align_ylabels()
        figure.tight_layout()
        return drawing.save(figure, stem)


def positions(frame: pl.DataFrame) -> pl.DataFrame:
    """The steps with `x`, their place counted over all stages, in the order in which the stages were trained."""
    order = {stage: number for number, stage in enumerate(frame["stage"].unique(maintain_order=True))}
    sizes = frame.group_by("stage").agg(size=pl.col("step").max())
    before, total = {}, 0
    for stage in order:
        before[stage] = total
        total += sizes.filter(pl.col("stage") == stage)["size"][0]
    placed = frame.with_columns(
        x=pl.col("step") + pl.col("stage").replace_strict(before, return_dtype=pl.Int64),
        _order=pl.col("stage").replace_strict(order, return_dtype=pl.Int64),
    )
    return placed.sort("_order", "step").drop("_order")


def _line(axes: Any, frame: pl.DataFrame, panel: Panel, name: str, number: int) -> None:
    """The steps as they are, thin, and their running mean; each stage by itself, for a border is a change of data."""
    if panel.metric not in frame.columns:
        return
    colour, dashes = drawing.STYLES[number % len(drawing.STYLES)]
    placed = positions(frame)
    for part, own in enumerate(placed.partition_by("stage", maintain_order=True)):
        values = own.select("x", y=pl.col(panel.metric)).drop_nulls()
        few, label = len(values) <= _FEW, name if part == 0 else None
        thin = {"alpha": 1, "marker": ".", "linestyle": dashes, "label": label} if few else {"alpha": 0.4}
        axes.plot(values["x"], values["y"], color=colour, linewidth=0.7, **thin)
        if not few:
            smooth = values["y"].rolling_mean(max(3, len(values) // 12), min_samples=1, center=True)
            axes.plot(values["x"], smooth, color=colour, linestyle=dashes, linewidth=1.8, label=label)
        if panel.metric == _ACCURACY:
            first = int(own["x"][0] - own["step"][0])
            found = selection.accuracies(own)
            spots = [first + step for step in found]
            axes.plot(spots, list(found.values()), linestyle="", marker="o", markerfacecolor="none", color=colour)


def _borders(axes: Any, frame: pl.DataFrame, colour: str, named: bool) -> None:
    """A line between two stages, and the stages' names on top where there is one training."""
    placed = positions(frame)
    stages = placed.group_by("stage", maintain_order=True).agg(first=pl.col("x").min(), last=pl.col("x").max())
    for number, (stage, first, last) in enumerate(stages.iter_rows()):
        if number:
            for one in axes:
                one.axvline(first - 0.5, color=colour, linestyle=":", linewidth=1)
        if named:
            axes[0].text((first + last) / 2, 1.03, stage, transform=axes[0].get_xaxis_transform(), ha="center")
