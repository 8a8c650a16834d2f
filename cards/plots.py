"""Plots of cards: PNG with a transparent background, for light and dark pages.

Text is a grey with contrast to white and to black, and fills are two of Okabe and Ito's colours, which are
distinguishable with any colour vision; bars are labelled with their numbers. Equal numbers give equal bytes: no pyplot,
no user style, no software version in the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from capcurriculum.render import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Contrast 4.2 to 4.9 against white and against the Hub's dark page (#0b0f19).
INK = "#767c85"
BLUE, ORANGE = "#3b8ec9", "#d5702b"
#: Width in inches of the first panel and of each further one, the most panels in a row, and dots per inch.
FIRST, NEXT, ACROSS, DPI = 2.7, 2.3, 3, 160
#: The most labels below a panel.
TICKS = 5


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    settings: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,  # stage names may contain dollars
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.5,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "savefig.transparent": True,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def _figure(panels: int, height: float) -> "tuple[Figure, list[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(panels, ACROSS)
    down = -(-panels // across)
    figure = Figure(figsize=(FIRST + NEXT * (across - 1), height * down), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(down, across, number + 1) for number in range(panels)]
    return figure, axes


def _bars(axes: "Axes", labels: Sequence[str], counts: Sequence[int], colour: str) -> None:
    from matplotlib.ticker import MaxNLocator

    places = range(len(counts))
    drawn = axes.bar(places, counts, color=colour, width=0.82)
    every = max(1, -(-(len(labels) - 1) // (TICKS - 1)))
    axes.set_xticks([place for place in places if place % every == 0], [labels[p] for p in places if p % every == 0])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.set_ylim(top=max(max(counts, default=0), 1) * 1.12)
    if len(counts) <= 12:
        axes.bar_label(drawn, [f"{count:,}" if count else "" for count in counts], fontsize=7, color=INK, padding=1)


def histograms(
    charts: Sequence[tuple[str, Sequence[str], Sequence[int]]], axis: str, height: float = 2.3, *, even: bool = False
) -> bytes:
    """A panel for each (title, labels, counts), as a PNG; with `even`, a line at equal counts."""
    with _style():
        figure, panels = _figure(len(charts), height)
        for axes, (title, labels, counts) in zip(panels, charts, strict=True):
            _bars(axes, labels, counts, BLUE)
            if even:
                axes.axhline(sum(counts) / len(counts), color=ORANGE, linewidth=1.4, linestyle="--")
            axes.set_title(plot.shown(title, 40), loc="left")
            axes.set_xlabel(axis)
        panels[0].set_ylabel("rows")
        return plot.encoded(figure, "png")
