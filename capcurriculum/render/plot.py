"""Style of plots: SVG and PNG with a transparent background and one grey whose contrast to white and to black is 4.5.

So the same file serves a light page and a dark one; lines are Okabe and Ito's colours and differ in their dashes too.
Matplotlib is loaded only when there is something to draw, without pyplot: nothing global, no display.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from capcurriculum.errors import RunError
from capcurriculum.tables import write_atomically

Kind = Literal["svg", "png"]
GREY = "#767676"
#: Okabe and Ito 2008, those that stand out on white and on black.
STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 2))),
    ("#009E73", (0, (4, 1.5, 1, 1.5))),
    ("#CC79A7", (0, (2, 1.5))),
    ("#E69F00", (0, (8, 2, 2, 2))),
    ("#56B4E9", (0, (1, 1))),
)


def figure_class() -> Any:
    """Matplotlib's `Figure`.

    Raises:
        RunError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RunError("Plots are drawn by matplotlib, which is not installed: pip install matplotlib.") from error
    return Figure


@contextmanager
def style() -> Iterator[None]:
    """The context to draw and save in; a user's own style has no part in it."""
    import matplotlib as mpl

    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    shape: dict[Any, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "svg.hashsalt": "capcurriculum",
        "text.parse_math": False,  # names are text, whatever dollars they hold
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(shape | dict.fromkeys(names, GREY))
        yield


def encoded(figure: Any, kind: Kind) -> bytes:
    """The figure as a file; the same figure gives the same bytes, whatever version draws it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, transparent=True, metadata={"Date" if kind == "svg" else "Software": None})
    return buffer.getvalue()


def save(figure: Any, stem: Path) -> list[Path]:
    """Write `stem`.svg and `stem`.png."""
    files = {stem.with_name(f"{stem.name}.{kind}"): encoded(figure, kind) for kind in get_args(Kind)}
    for file, data in files.items():
        write_atomically(file, data)
    return list(files)


def shown(name: str, most: int) -> str:
    """A name in printable ASCII, cut to `most` characters, as every font can show it."""
    return re.sub(r"[^\x20-\x7e]", "?", name)[:most]
