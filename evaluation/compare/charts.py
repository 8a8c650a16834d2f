"""Plots of a comparison: gains with intervals by benchmark, and accuracy at equal length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capcurriculum.render import plot
from evaluation.results.comparison_tables import TITLES
from evaluation.results.comparisons import Budget, Comparison, Interval, Pair

GAINS, LENGTHS = "gains", "equal_length"
_MOST = 40  # characters of a name
_MARKERS = "os^Dv"
#: Above the axes.
_LEGEND: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False, "borderaxespad": 0}


def draw(found: Comparison, folder: Path) -> list[Path]:
    """Write the plots as SVG and PNG; returns the files.

    Raises:
        RunError: matplotlib is missing.
    """
    files = _gains(found.pairs, folder / GAINS)
    return files + (_lengths(found.budget, folder / LENGTHS) if found.budget else [])


def _gains(pairs: Sequence[Pair], stem: Path) -> list[Path]:
    """A dot and its 95 % interval for every benchmark and group, in one colour for each model."""
    names = list(dict.fromkeys(name for pair in pairs for name, _ in _bars(pair)))
    figure_class = plot.figure_class()
    with plot.style():
        height = 1.0 + len(names) * (0.24 + 0.14 * len(pairs)) + 0.22 * len(pairs)
        figure = figure_class(figsize=(8, height), dpi=150)
        axes = figure.add_subplot()
        axes.axvline(0, color=plot.GREY, linewidth=0.8)
        for number, pair in enumerate(pairs):
            colour = plot.STYLES[number % len(plot.STYLES)][0]
            shift = (number - (len(pairs) - 1) / 2) * 0.8 / len(pairs)
            for place, (name, gain) in enumerate(_bars(pair)):
                label = None if place else plot.shown(pair.after, _MOST)
                _bar(axes, names.index(name) + shift, gain, (colour, _MARKERS[number % len(_MARKERS)]), label)
        axes.set_yticks(range(len(names)), [plot.shown(name, _MOST) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"gain in accuracy over {plot.shown(pairs[0].before, _MOST)} (points, 95 % interval)")
        axes.legend(**_LEGEND)
        figure.tight_layout()
        return plot.save(figure, stem)


def _bars(pair: Pair) -> list[tuple[str, Interval]]:
    return [(one.benchmark, one.gain) for one in pair.lines] + [
        (f"mean: {TITLES.get(one.name, one.name)}", one.gain) for one in pair.groups
    ]


def _bar(axes: Any, place: float, gain: Interval, look: tuple[str, str], label: str | None) -> None:
    colour, marker = look
    axes.plot([gain.low, gain.high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot([gain.value], [place], color=colour, marker=marker, markersize=4.5, linestyle="", label=label)


def _lengths(budget: Budget, stem: Path) -> list[Path]:
    """A line with its pointwise interval for each model."""
    figure_class = plot.figure_class()
    with plot.style():
        figure = figure_class(figsize=(8, 3.6), dpi=150)
        axes = figure.add_subplot()
        for number, curve in enumerate(budget.curves):
            colour, dashes = plot.STYLES[number % len(plot.STYLES)]
            axes.fill_between(budget.tokens, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0, step="post")
            axes.step(budget.tokens, curve.accuracy, where="post", color=colour, linestyle=dashes, linewidth=1.6,
                      label=plot.shown(curve.name, _MOST))  # fmt: skip
        if budget.tokens[-1] > 4 * budget.tokens[0]:
            from matplotlib.ticker import LogLocator

            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter("")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("longest reply that counts (tokens)")
        axes.set_ylabel("right within that length (%)")
        axes.legend(**_LEGEND, ncols=min(3, len(budget.curves)))
        figure.tight_layout()
        return plot.save(figure, stem)
