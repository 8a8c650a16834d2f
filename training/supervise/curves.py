"""Held-out accuracy of each capability, reward, accuracy and response length against step over a training's stages.

SVG and PNG in the look of `capcurriculum.render.plot`, beside the training and, of several together, in the run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from capcurriculum.errors import TrainerError
from capcurriculum.render import plot
from training import selection
from training.supervise import metrics

METRICS = "metrics.parquet"
_FEW = 12  # steps up to which every one is marked, and nothing smoothed
_NAME = 40  # characters of a name


class Panel(NamedTuple):
    """What one of the axes shows: its label, and verl's metrics by the name of their line.

    What is `held_out` is measured now and then, at step 0 and where stages meet too: one line over the whole chain.
    """

    label: str
    lines: Mapping[str, str]
    held_out: bool = False

    @property
    def words(self) -> str:
        """What it shows, for who cannot see it."""
        named = [line for line in self.lines if line]
        return f"{self.label} of {', '.join(named)}" if named else self.label.replace("\n", " ")


PANELS = (
    Panel("reward", {"": "critic/score/mean"}),
    Panel("training accuracy", {"": "reward/accuracy"}),
    Panel("response length (tokens)", {"": "response_length/mean"}),
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
    figure_class = plot.figure_class()
    with plot.style():
        return plot.save(_figure(figure_class, series), stem)


def picture(series: Mapping[str, pl.DataFrame], kind: plot.Kind) -> bytes:
    """What `draw` writes, as the bytes of one file; raises what `draw` raises."""
    figure_class = plot.figure_class()
    with plot.style():
        return plot.encoded(_figure(figure_class, series), kind)


def panels(series: Mapping[str, pl.DataFrame]) -> list[Panel]:
    """What is drawn of one training or of several over each other: the panels that any of them has numbers for.

    Held-out accuracy comes first: of one training all stages' in one panel, of several a panel for each.
    """
    found: dict[str, str] = {}
    for frame in series.values():
        validated = selection.validated(frame.columns)
        taught = [stage for stage in frame["stage"].unique(maintain_order=True) if stage in validated]
        found |= {stage: validated[stage] for stage in [*taught, *validated]}
    if len(series) == 1:
        first = [Panel("held-out accuracy", found, held_out=True)]
    else:
        first = [Panel(f"{_shown(stage)}\n(held out)", {"": metric}, held_out=True) for stage, metric in found.items()]
    return [panel for panel in (*first, *PANELS) if any(_has(frame, panel) for frame in series.values())]


def _figure(figure_class: Any, series: Mapping[str, pl.DataFrame]) -> Any:
    drawn = panels(series)
    figure = figure_class(figsize=(8, 1 + 1.9 * max(len(drawn), 1)), dpi=150)
    axes = figure.subplots(max(len(drawn), 1), 1, sharex=True, squeeze=False)[:, 0]
    for number, (name, frame) in enumerate(series.items()):
        colour = plot.GREY if len(series) == 1 else plot.STYLES[number % len(plot.STYLES)][0]
        _borders(axes, frame, colour, len(series) == 1)
        for one, panel in zip(axes, drawn, strict=False):
            for place, (line, metric) in enumerate(panel.lines.items()):
                style = plot.STYLES[(place if line else number) % len(plot.STYLES)]
                (_joined if panel.held_out else _parts)(one, frame, metric, _shown(line or name), style)
    for one, panel in zip(axes, drawn, strict=False):
        one.set_ylabel(panel.label)
        if len(panel.lines) > 1:
            one.legend(loc="best", frameon=False, fontsize=8)
    if len(series) > 1:  # above the panels, where it hides no line; not every training has one in every panel
        lines = {line.get_label(): line for one in axes for line in one.get_legend_handles_labels()[0]}
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": min(3, len(series))}
        axes[0].legend(lines.values(), lines.keys(), frameon=False, **above)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel("step")
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def _shown(name: str) -> str:
    return plot.shown(name, _NAME).lstrip("_")  # what begins so is left out of legends


def _has(frame: pl.DataFrame, panel: Panel) -> bool:
    return any(metric in frame.columns and frame[metric].count() for metric in panel.lines.values())


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


def _joined(axes: Any, frame: pl.DataFrame, metric: str, label: str, style: tuple[Any, Any]) -> None:
    """What was measured, each value marked, in one line over the stages' borders."""
    if metric in frame.columns:
        values = positions(frame).select("x", y=pl.col(metric)).drop_nulls()
        axes.plot(values["x"], values["y"], color=style[0], linestyle=style[1], marker="o", markersize=4, label=label)


def _parts(axes: Any, frame: pl.DataFrame, metric: str, label: str, style: tuple[Any, Any]) -> None:
    """The steps as they are, thin, and their running mean; each stage by itself, for a border is a change of data."""
    if metric not in frame.columns:
        return
    colour, dashes = style
    for part, own in enumerate(positions(frame).partition_by("stage", maintain_order=True)):
        values = own.select("x", y=pl.col(metric)).drop_nulls()
        few, named = len(values) <= _FEW, label if part == 0 else None
        thin = {"alpha": 1, "marker": ".", "linestyle": dashes, "label": named} if few else {"alpha": 0.4}
        axes.plot(values["x"], values["y"], color=colour, linewidth=0.7, **thin)
        if not few:
            smooth = values["y"].rolling_mean(max(3, len(values) // 12), min_samples=1, center=True)
            axes.plot(values["x"], smooth, color=colour, linestyle=dashes, linewidth=1.8, label=named)


def borders(frame: pl.DataFrame) -> list[tuple[str, float, float]]:
    """Each stage with the place before its first step and that of its last, in the order of `positions`.

    A validation before a stage's first step has the place of the last step of the stage before, whose end it measures
    too, and so lies before the border.
    """
    placed = positions(frame).group_by("stage", maintain_order=True)
    found = placed.agg(begin=(pl.col("x") - pl.col("step")).first() + 0.5, last=pl.col("x").max())
    return list(found.iter_rows())


def _borders(axes: Any, frame: pl.DataFrame, colour: str, named: bool) -> None:
    """A line between two stages, and the stages' names on top where there is one training."""
    for number, (stage, begin, last) in enumerate(borders(frame)):
        if number:
            for one in axes:
                one.axvline(begin, color=colour, linestyle=":", linewidth=1)
        if named:
            middle, above = (begin + last + 0.5) / 2, axes[0].get_xaxis_transform()
            axes[0].text(middle, 1.03, _shown(stage), transform=above, ha="center")
