"""Training curves: held-out accuracy by stage, reward, training accuracy and response length against step.

SVG and PNG in the style of `capcurriculum.render.plot`, in each training's folder and, for several trainings, in the
run's.
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
#: Of the steps of a stage whose pass rates were measured anew before it: the share of its rows that this left.
REFRESHED = "refresh/left"
_FEW = 12  # up to so many steps each is marked, and nothing is smoothed
_NAME = 40  # characters of a name


class Panel(NamedTuple):
    """One subplot: its label, and verl's metrics by the name of their line.

    A `held_out` metric is measured at some steps, step 0 and the ends of stages included, and drawn as one line over
    the whole chain.
    """

    label: str
    lines: Mapping[str, str]
    held_out: bool = False

    @property
    def words(self) -> str:
        """What it shows, as alternative text."""
        named = [line for line in self.lines if line]
        return f"{self.label} of {', '.join(named)}" if named else self.label.replace("\n", " ")


PANELS = (
    Panel("reward", {"": "critic/score/mean"}),
    Panel("training accuracy", {"": "reward/accuracy"}),
    Panel("no gradient (share)", {"": "reward/flat"}),
    Panel("response length (tokens)", {"": "response_length/mean"}),
)


def trainings(run_dir: Path) -> dict[str, Path]:
    """Name -> folder of every training of a run that has steps."""
    folders = [run_dir / "training", *sorted((run_dir / "trainings").glob("*"))]
    return {folder.name: folder for folder in folders if (folder / METRICS).is_file()}


def write(run_dir: Path) -> list[Path]:
    """Draw each training of a run in its folder, and several together in the run's; returns the files.

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
    """Draw the trainings into `stem`.svg and `stem`.png, with the panels of `panels`; returns the files.

    Raises:
        RunError: matplotlib is missing.
    """
    figure_class = plot.figure_class()
    with plot.style():
        return plot.save(_figure(figure_class, series), stem)


def picture(series: Mapping[str, pl.DataFrame], kind: plot.Kind) -> bytes:
    """The bytes of one of the files that `draw` writes; raises what `draw` raises."""
    figure_class = plot.figure_class()
    with plot.style():
        return plot.encoded(_figure(figure_class, series), kind)


def panels(series: Mapping[str, pl.DataFrame]) -> list[Panel]:
    """The panels for which any of the trainings has values.

    Held-out accuracy comes first: of one training all stages in one panel, of several one panel per stage.
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
    measured = {name for frame in series.values() for name in frame.columns if frame[name].count()}
    return [panel for panel in (*first, *PANELS) if measured & set(panel.lines.values())]


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
    if len(series) > 1:  # one legend above the panels, since not every training has a line in each
        lines = {line.get_label(): line for one in axes for line in one.get_legend_handles_labels()[0]}
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": min(3, len(series))}
        axes[0].legend(lines.values(), lines.keys(), frameon=False, **above)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel("step")
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def _shown(name: str) -> str:
    return plot.shown(name, _NAME).lstrip("_")  # matplotlib leaves labels with a leading underscore out of legends


def positions(frame: pl.DataFrame) -> pl.DataFrame:
    """The steps with `x`, their position over all stages, in the order in which the stages were trained."""
    stages = frame.group_by("stage", maintain_order=True).agg(_before=pl.col("step").max())
    stages = stages.with_columns(pl.col("_before").cum_sum().shift(1, fill_value=0)).with_row_index("_order")
    placed = frame.join(stages, on="stage").sort("_order", "step")
    return placed.with_columns(x=pl.col("step") + pl.col("_before")).drop("_order", "_before")


def _joined(axes: Any, frame: pl.DataFrame, metric: str, label: str, style: tuple[Any, Any]) -> None:
    """One line with a marker per value, across stages."""
    if metric in frame.columns:
        values = positions(frame).select("x", y=pl.col(metric)).drop_nulls()
        axes.plot(values["x"], values["y"], color=style[0], linestyle=style[1], marker="o", markersize=4, label=label)


def _parts(axes: Any, frame: pl.DataFrame, metric: str, label: str, style: tuple[Any, Any]) -> None:
    """A thin line of the steps and a bold one of their running mean, per stage, since the data changes in between."""
    if metric not in frame.columns:
        return
    colour, dashes = style
    for part, steps in enumerate(positions(frame).partition_by("stage", maintain_order=True)):
        values = steps.select("x", y=pl.col(metric)).drop_nulls()
        few, named = len(values) <= _FEW, label if part == 0 else None
        thin = {"alpha": 1, "marker": ".", "linestyle": dashes, "label": named} if few else {"alpha": 0.4}
        axes.plot(values["x"], values["y"], color=colour, linewidth=0.7, **thin)
        if not few:
            smooth = values["y"].rolling_mean(max(3, len(values) // 12), min_samples=1, center=True)
            axes.plot(values["x"], smooth, color=colour, linestyle=dashes, linewidth=1.8, label=named)


def borders(frame: pl.DataFrame) -> list[tuple[str, float, float]]:
    """(stage, x before its first step, x of its last step) of each stage, in the order of `positions`.

    A validation before a stage's first step has the x of the previous stage's last step, whose checkpoint it measures.
    """
    placed = positions(frame).group_by("stage", maintain_order=True)
    found = placed.agg(begin=(pl.col("x") - pl.col("step")).first() + 0.5, last=pl.col("x").max())
    return list(found.iter_rows())


def _borders(axes: Any, frame: pl.DataFrame, colour: str, named: bool) -> None:
    """A vertical line between stages; with `named` also the stages' names above.

    Before a stage whose pass rates were measured anew it is dashed, also before the first, and its name says so.
    """
    anew = refreshed(frame)
    for number, (stage, begin, last) in enumerate(borders(frame)):
        if number or stage in anew:
            for one in axes:
                one.axvline(begin, color=colour, linestyle="--" if stage in anew else ":", linewidth=1)
        if named:
            middle, above = (begin + last + 0.5) / 2, axes[0].get_xaxis_transform()
            name = f"{_shown(stage)}\n(refreshed, {anew[stage]:.0%} of rows left)" if stage in anew else _shown(stage)
            axes[0].text(middle, 1.03, name, transform=above, ha="center")


def refreshed(frame: pl.DataFrame) -> dict[str, float]:
    """Stage -> the share of its rows that were left, for the stages whose pass rates were measured anew."""
    if REFRESHED not in frame.columns:
        return {}
    found = frame.drop_nulls(REFRESHED).group_by("stage", maintain_order=True).agg(pl.col(REFRESHED).last())
    return dict(found.iter_rows())
