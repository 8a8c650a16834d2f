"""The label-noise measurement as a section of docs/experiments.md, and its plot."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.noise_rules import AT, RECOMMENDED, VARIANTS, Kind

if TYPE_CHECKING:
    from benchmarks.label_noise import Line

BEGIN, END, PLOT = "<!-- label_noise {}: begin -->", "<!-- label_noise {}: end -->", "label_noise_{}.png"
#: Style, colour and marker of a kind's line. The colours, Okabe and Ito's, differ for every kind of colour vision.
_LINES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.ANSWER: ("-", "#0072B2", "o"),
    Kind.DESCRIBE: ("--", "#D55E00", "s"),
    Kind.TOGETHER: ("-", "#CC79A7", "D"),
    Kind.JUDGED: (":", "#009E73", "^"),
    Kind.SEEN: ("", "#000000", "*"),
}


def write(lines: Sequence["Line"], folder: Path) -> None:
    """Replace what stands between the marks of the set-up in `experiments.md`, and draw the plot beside it."""
    setup, page = lines[0].setup, folder / "experiments.md"
    begin, end = BEGIN.format(setup), END.format(setup)
    text = page.read_text(encoding="utf-8")
    head, tail = text.split(begin)[0], text.split(end)[1]
    page.write_text(f"{head}{begin}\n\n" + "\n".join(_table(lines)) + f"\n\n{end}{tail}", encoding="utf-8")
    plot(lines, folder / PLOT.format(setup))


def _table(lines: Sequence["Line"]) -> Iterator[str]:
    yield "| lies | filters | wrong labels kept | of the paper's | good rows kept | false | void | requests |"
    yield "|---|---|---|---|---|---|---|---|"
    at = [line for line in lines if line.lies == AT]
    best = {line.set for line in frontier([line for line in at if line.kind is Kind.TOGETHER])}
    best |= set(map(str, VARIANTS))
    for line in lines:
        if line.lies != AT and line.set not in ("paper", str(RECOMMENDED)):
            continue
        if line.kind is Kind.TOGETHER and line.set not in best:
            continue
        wrong, good = _share(line.wrong, line.wrong_interval), _share(line.recall, line.recall_interval)
        part = _share(line.ratio, line.ratio_interval)
        kinds = " | ".join("" if math.isnan(k) else f"{100 * k:.0f} %" for k in (line.false_kept, line.void_kept))
        cells = (f"{100 * line.lies:.0f} %", line.set, wrong, part, good, kinds, f"{line.requests:,.0f}")
        yield f"| {' | '.join(cells)} |"


def _share(value: float, ends: tuple[float, float]) -> str:
    low, high = ends
    return "" if math.isnan(value) else f"{100 * value:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def frontier(lines: Sequence["Line"]) -> list["Line"]:
    """Those that no other beats in both, by falling share of good rows kept."""
    best: list[Line] = []
    for line in sorted(lines, key=lambda line: (-line.recall, line.ratio)):
        if not best or line.ratio < best[-1].ratio:
            best.append(line)
    return best


def plot(lines: Sequence["Line"], file: Path) -> None:
    """At 10 % lies: recall of good rows against the share of wrong labels over that of the paper's rule."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), dpi=150)
    own = [line for line in lines if line.lies == AT]
    for kind, (style, colour, marker) in _LINES.items():
        found = [line for line in own if line.kind is kind]
        if best := found if kind is Kind.SEEN else frontier(found):
            spots = ([line.recall for line in best], [line.ratio for line in best])
            axes.plot(*spots, color=colour, marker=marker, linestyle=style, label=str(kind))
    rest = [line for line in own if line.kind is Kind.PROBE]
    axes.scatter([line.recall for line in rest], [line.ratio for line in rest], facecolors="none", edgecolors="black")
    signs = dict(zip([line.set for line in rest], "abcdefghij", strict=False))
    for line in rest:
        axes.annotate(signs[line.set], (line.recall, line.ratio), (4, 4), textcoords="offset points", fontsize=8)
    axes.axhline(0.2, color="black", linestyle=":", linewidth=1)
    axes.axvline(0.8, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="good perception-hard rows kept", ylabel="wrong labels kept, over the paper's rule", xlim=(0, 1.05))
    axes.set_ylim(0, 1.6)
    axes.legend(loc="upper left", fontsize=7)
    listed = ",  ".join(f"{sign}: {name.removeprefix('paper + ')}" for name, sign in signs.items())
    figure.text(0.5, 0.01, listed, ha="center", fontsize=7, wrap=True)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(file)
    plt.close(figure)
