"""Held-out accuracy of a chain of stages, as one table, one sentence for each stage, and one plot.

Columns are capabilities and lines are models: before training, and after each stage. Gains in the table are paired with
the model before training; the effect of a stage is paired with the model before that stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.table import Table

from capcurriculum.render import plot
from capcurriculum.render.table import grid
from capcurriculum.stats import Gain, gain
from evaluation.results.results import HeldOut

AFTER = "after "
#: The mean loss of another capability above which it is reported.
_LITTLE = 0.02


def table(scores: Sequence[HeldOut]) -> Table:
    """Accuracy of every model on the held-out rows of every stage, with its gain over the first model."""
    stages, by_model = _stages(scores), _by_model(scores)
    first = next(iter(by_model.values()))
    rows = []
    for model, found in by_model.items():
        cells = [f"{found[stage].accuracy:.1%}" for stage in stages]
        if found is not first:
            gains = [gain(first[stage].rates, found[stage].rates) for stage in stages]
            cells = [f"{cell}\n{_short(change)}" for cell, change in zip(cells, gains, strict=True)]
        rows.append((model.removeprefix(AFTER), *cells))
    columns = [f"{stage}\n{first[stage].rows} rows" for stage in stages]
    return grid(("after\nstage", *columns), rows, columns)


def _short(change: Gain) -> str:
    """A gain in points, short enough for three columns in 80 characters."""
    return f"{100 * change.mean:+.1f} ({100 * change.low:.1f} to {100 * change.high:.1f})"


def sentences(scores: Sequence[HeldOut]) -> Iterator[str]:
    """The effect of each stage, the gain of the last model, and statistics of the replies, as sentences."""
    stages, models = _stages(scores), list(_by_model(scores).items())
    for (_, before), (name, after) in pairwise(models):
        trained = name.removeprefix(AFTER)
        changes = {stage: gain(before[stage].rates, after[stage].rates) for stage in stages}
        text = f"Stage {trained}"
        text += f": {changes.pop(trained)} points on its own rows" if trained in changes else ""
        lost = [f"{stage} {change}" for stage, change in changes.items() if change.mean < -_LITTLE]
        told = not any(change.too_few for change in changes.values())
        yield "; ".join([text, *_others(lost, told)]) + "."
    if len(models) > 1:
        first, last = models[0][1], models[-1][1]
        gains = {stage: gain(first[stage].rates, last[stage].rates) for stage in stages}
        yield f"In all, against the start: {', '.join(f'{stage} {change}' for stage, change in gains.items())}."
        if few := [f"{stage} ({change.rows} rows)" for stage, change in gains.items() if change.too_few]:
            yield f"Too few rows to tell a gain from a loss: {', '.join(few)}."
    lengths = [score.tokens for score in scores]
    yield (
        f"{scores[0].replies // scores[0].rows} replies a row at temperature 1; brackets are 95 % intervals over rows; "
        f"at most {max(score.unparsed for score in scores):.1%} of replies without a readable answer; "
        f"{min(lengths):.0f} to {max(lengths):.0f} tokens a reply."
    )


def _others(lost: Sequence[str], told: bool) -> list[str]:
    """What a stage did to the others; that they lost little is said only if there are rows enough to tell (`told`)."""
    if lost:
        return [f"lost {', '.join(lost)}"]
    return [f"no other lost more than {100 * _LITTLE:.0f}"] if told else []


def worst_loss(scores: Sequence[HeldOut]) -> Gain | None:
    """The largest loss (or smallest gain) of a stage on the rows of another one; None for a single stage."""
    stages, models = _stages(scores), list(_by_model(scores).items())
    found = [
        gain(before[stage].rates, after[stage].rates)
        for (_, before), (name, after) in pairwise(models)
        for stage in stages
        if stage != name.removeprefix(AFTER)
    ]
    return min(found, key=lambda change: change.mean, default=None)


def draw(scores: Sequence[HeldOut], stem: Path) -> list[Path]:
    """Plot accuracy with 95 % intervals by model and capability, as `stem`.svg and `stem`.png; returns the files.

    Raises:
        RunError: matplotlib is missing.
    """
    by_model = _by_model(scores)
    figure_class = plot.figure_class()
    with plot.style():
        figure = figure_class(figsize=(7, 3.4), dpi=150)
        axes = figure.subplots()
        for number, stage in enumerate(_stages(scores)):
            colour, dashes = plot.STYLES[number % len(plot.STYLES)]
            points = [found[stage] for found in by_model.values()]
            places = [place + (number - 1) * 0.04 for place in range(len(points))]  # so that bars do not overlap
            axes.errorbar(
                places,
                [100 * score.accuracy for score in points],
                yerr=np.transpose([(100 * (s.accuracy - s.low), 100 * (s.high - s.accuracy)) for s in points]),
                color=colour, linestyle=dashes, marker="o", markersize=4, capsize=2, linewidth=1.5, label=stage,
            )  # fmt: skip
        axes.set_xticks(range(len(by_model)), [plot.shown(model, 24) for model in by_model])
        axes.set_ylabel("right on held-out rows (%)")
        axes.legend(loc="best", frameon=False)
        figure.tight_layout()
        return plot.save(figure, stem)


def _by_model(scores: Sequence[HeldOut]) -> dict[str, Mapping[str, HeldOut]]:
    found: dict[str, dict[str, HeldOut]] = {}
    for score in scores:
        found.setdefault(score.model, {})[score.stage] = score
    return dict(found)


def _stages(scores: Sequence[HeldOut]) -> list[str]:
    """The stages in the order of training, others last."""
    there = list(dict.fromkeys(score.stage for score in scores))
    trained = [name for model in _by_model(scores) if (name := model.removeprefix(AFTER)) in there]
    return list(dict.fromkeys([*trained, *there]))
