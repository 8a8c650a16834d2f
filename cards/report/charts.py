"""Charts as inline SVG, coloured by class through the page's style sheet, for light and dark mode.

Untrusted texts are escaped. Colour is never the only cue: each part also has a name, a pattern or a number. Sizes are
in SVG units, one to a CSS pixel at full width.
"""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

from markupsafe import Markup

from capcurriculum.ledger.funnel import FunnelLine
from cards.report.arms import OUTCOMES, Cross
from cards.report.numbers import Histogram

_WIDTH = 1100
_LABEL, _COUNTS = 124, 180
_ROW, _BAR = 34, 20


def link(**values: str) -> str:
    """The URL fragment that shows these rows in the gallery."""
    return "#" + urlencode(values)


def funnel(stage: str, lines: Sequence[FunnelLine]) -> Markup:
    """The filters of a stage from top to bottom, with the rows that each kept and dropped."""
    most = max(line.met for line in lines)
    scale = (_WIDTH - _LABEL - _COUNTS) / most
    parts = []
    for number, line in enumerate(lines):
        y = number * _ROW
        middle = y + _ROW / 2
        parts.append(_text(_LABEL - 10, middle, line.filter, "name end"))
        unreviewed = f", {line.unreviewed:,} of them not reviewed" if line.unreviewed else ""
        title = f"{line.filter} kept {line.kept:,}{unreviewed}"
        parts.append(_rect(_LABEL, y + 7, line.kept * scale, _BAR, "kept", title))
        x = _LABEL + line.kept * scale
        for reason, count in sorted(line.dropped.items(), key=lambda item: (-item[1], item[0])):
            where = link(stage=stage, filter=line.filter, reason=reason, funnel="1")
            title = f"{line.filter} dropped {count:,}: {words(reason)}"
            bar = _rect(x, y + 7, count * scale, _BAR, "dropped", title)
            parts.append(f'<a href="{escape(where)}" aria-label="{escape(title)}">{bar}</a>')
            x += count * scale
        share = f"{line.kept:,} of {line.met:,}"
        parts.append(_text(_WIDTH - _COUNTS + 14, middle, share, "count"))
        parts.append(_text(_WIDTH, middle, f"{line.kept / line.met:.1%}", "count end"))
    return _svg(_WIDTH, len(lines) * _ROW, f"Funnel of the {stage} stage", parts)


def histogram(chart: Histogram, width: int = 372, height: int = 168) -> Markup:
    """Stacked bars over a labelled axis."""
    left, right, bottom, top = 34, 12, 40, 10
    bars = len(chart.labels)
    totals = [sum(series[bar] for series in chart.series.values()) for bar in range(bars)]
    most = max(totals, default=0) or 1
    step = (width - left - right) / bars
    scale = (height - bottom - top) / most
    base = height - bottom
    parts = [_text(left - 6, top + 4, f"{most:,}", "tick end"), _text(left - 6, base - 2, "0", "tick end")]
    parts += [
        f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y}" y2="{y}"/>' for y in (top, (top + base) / 2)
    ]
    for bar, label in enumerate(chart.labels):
        y = float(base)
        for name, series in chart.series.items():
            size = series[bar] * scale
            y -= size
            if size:
                title = f"{chart.axis} {label}, {words(name)}: {series[bar]:,}"
                parts.append(_rect(left + bar * step + 1, y, step - 2, size, name, title))
        if bar % _every(chart.labels, step) == 0:
            parts.append(_text(left + (bar + 0.5) * step, base + 12, label, "tick middle"))
    parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{base}" y2="{base}"/>')
    parts.append(_text(left + (width - left - right) / 2, height - 9, chart.axis, "tick middle"))
    return _svg(width, height, f"{chart.title}: rows by {chart.axis}", parts)


def _every(labels: Sequence[str], step: float) -> int:
    """The distance in bars between labels that do not overlap."""
    longest = max(map(len, labels))
    return max(1, -(-int(longest * 6.2 + 6) // max(1, int(step))))


def outcomes(counts: Mapping[str, int], width: int = 640, height: int = 22) -> Markup:
    """One bar of the four outcomes, with shares in the parts that are wide enough."""
    total = sum(counts.values()) or 1
    x, parts = 0.0, []
    for name in OUTCOMES:
        size = counts[name] / total * width
        if size:
            parts.append(_rect(x, 0, size, height, name, f"{name}: {counts[name]:,} of {total:,}"))
            if size > 44:
                parts.append(_text(x + size / 2, height / 2, f"{counts[name] / total:.0%}", f"on-{name} middle"))
            x += size
    title = ", ".join(f"{name} {counts[name]:,}" for name in OUTCOMES if counts[name])
    return _svg(width, height, title or "no reply", parts)


def shade(cross: Cross, seen: str, read: str) -> int:
    """The shade of a matrix cell, 0 to 4, by its share of all replies."""
    share = cross.counts.get((seen, read), 0) / (sum(cross.counts.values()) or 1)
    return sum(share > least for least in (0, 0.02, 0.1, 0.3))


def bars(counts: Mapping[str, int], width: int = 372) -> Markup:
    """One bar for each name, with its count and share, and a line at equal counts."""
    most, total = max(counts.values()) or 1, sum(counts.values()) or 1
    left, right, row = 24, 96, 26
    scale = (width - left - right) / most
    even = left + total / len(counts) * scale
    parts = [f'<line class="even" x1="{even:.1f}" x2="{even:.1f}" y1="0" y2="{len(counts) * row}"/>']
    for number, (name, count) in enumerate(counts.items()):
        y = number * row
        parts.append(_text(left - 10, y + row / 2, name, "name end"))
        parts.append(_rect(left, y + 4, count * scale, row - 8, "kept", f"{name}: {count:,}"))
        parts.append(_text(left + count * scale + 8, y + row / 2, f"{count:,} ({count / total:.0%})", "count"))
    title = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return _svg(width, len(counts) * row, f"Answer keys: {title}", parts)


def words(name: str) -> str:
    """A reason's name as words."""
    return name.replace("_", " ")


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> Markup:
    # For assistive technology an SVG with links is a group, and one without is an image.
    role = "group" if any("<a " in part for part in parts) else "img"
    head = f'<svg role="{role}" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" width="{width}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 (untrusted texts are escaped above)


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect class="fill-{escape(kind)}" {place}><title>{escape(title)}</title></rect>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" dominant-baseline="central">{escape(text)}</text>'
