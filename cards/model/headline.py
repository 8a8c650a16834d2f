"""The headline table: what was measured of this model beside what the paper published of models from the same base.

Measured and published never share a row, and a row says which of them it is. An average stands only where every
benchmark of its group was measured.
"""

from collections.abc import Mapping, Sequence

from capcurriculum.render.markdown import Cell, Md, code, number, percent, table
from cards.model.heldout import gains
from evaluation.published import Model, Paper
from evaluation.results.results import HeldOut, Score

NOT_MEASURED = Md("not measured")
_TITLES = {"visual_math": "visual math", "perception": "perception", "overall": "overall", "extended": "extended"}
_HOW = {"stated": "", "figure": " (from a figure)", "derived": " (derived)"}


def headline(paper: Paper, published: Sequence[Model], measured: Mapping[str, Sequence[Score]]) -> Md | None:
    """Averages, measured first; None where neither is there."""
    names = [g for g in _TITLES if any(g in model.averages for model in published)]
    own = {model: paper.averages({one.benchmark: one.score for one in found}) for model, found in measured.items()}
    names += [g for g in _TITLES if g not in names and any(g in found for found in own.values())]
    if not names:
        return None
    rows: list[list[Cell]] = []
    for model, found in own.items():
        cells: list[Cell] = [number(found[g]) if g in found else NOT_MEASURED for g in names]
        rows.append([code(model), Md("measured by us"), *cells])
    if not own:
        rows.append([Md("this model"), Md("measured by us"), *[NOT_MEASURED for _ in names]])
    for one in published:
        cells = [number(one.averages[g]) if g in one.averages else Md("") for g in names]
        rows.append([Md(one.setting), Md("published, not measured by us"), *cells])
    titles = [_TITLES[g] for g in names]
    return table(("model", "whose number", *titles), rows, titles)


def benchmarks(published: Sequence[Model], measured: Mapping[str, Sequence[Score]]) -> Md | None:
    """Every benchmark that was measured, with the paper's numbers of it; None where none was."""
    rows: list[list[Cell]] = []
    for model, found in measured.items():
        for score in found:
            low, high = score.low, score.high
            interval = Md(f" ({low:.1f} to {high:.1f})" if low is not None and high is not None else "")
            others = [
                Md(f"{one.setting} {one.benchmarks[score.benchmark][0]:g}{_HOW[one.benchmarks[score.benchmark][1]]}")
                for one in published
                if score.benchmark in one.benchmarks
            ]
            rows.append(
                [code(model), code(score.benchmark), Md(f"{score.score:.1f}{interval}"), score.samples,
                 number(score.tokens, 1), code(score.judge) if score.judge else Md("a program"), Md(", ".join(others))]
            )  # fmt: skip
    names = ("score", "samples", "reply tokens")
    return table(("model", "benchmark", *names, "graded by", "published"), rows, names) if rows else None


def held_out(found: Sequence[HeldOut]) -> Md | None:
    """Accuracy on rows that nothing was trained on; None where it was not measured."""
    gained = gains(found)
    rows: list[list[Cell]] = [
        [code(one.model), code(one.stage), one.rows, one.replies,
         Md(f"{percent(one.accuracy)} ± {percent(one.half_width)}"),
         Md(str(gained[one.model, one.stage])) if (one.model, one.stage) in gained else None,
         percent(one.unparsed), number(one.tokens, 1)]
        for one in found
    ]  # fmt: skip
    names = ("rows", "replies", "right", "gain in points (95 %)", "without an answer", "reply tokens")
    return table(("model", "held-out stage", *names), rows, names) if rows else None
