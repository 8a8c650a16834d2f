"""Measured and published scores of a model as Markdown tables, and the held-out scores of its chain.

Measured and published numbers never share a row, and each row is marked as one of them. An average requires that every
benchmark of its group was measured. A run may have held-out scores of several trainings and selections of rows:
those of a chain name the weights in its plan, and are shown together only if they are of the same questions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from capcurriculum.render.markdown import Cell, Md, code, number, percent, table
from capcurriculum.stats import Gain, gain
from cards.model.training import Training
from evaluation.published import Model, Paper
from evaluation.results.comparison_tables import HOW, MEASURED, PUBLISHED, TITLES
from evaluation.results.results import HeldOut, Score

NOT_MEASURED = Md("not measured")
START = "start"
#: Question ids, rows and replies.
_Asked = tuple[tuple[str, ...], int, int]


def chosen(found: Sequence[HeldOut], chain: Training) -> list[HeldOut]:
    """The held-out scores of a chain in the order of training, for each stage over one set of questions.

    That set is the one with the most models, and of these the largest. Scores without weights count if the run has no
    other chain.
    """
    digests = {START: chain.stages[0].parent_digest} if chain.stages else {}
    digests |= {f"after {one.stage}": one.checkpoint_digest for one in chain.stages}
    groups: defaultdict[str, dict[_Asked, dict[str, HeldOut]]] = defaultdict(dict)
    for one in found:
        if one.model in digests and (one.weights == digests[one.model] if one.weights else chain.alone):
            groups[one.stage].setdefault((tuple(sorted(one.rates)), one.rows, one.replies), {})[one.model] = one
    best = {stage: max(sets.items(), key=_rank)[1] for stage, sets in groups.items()}
    return [best[stage][model] for model in digests for stage in best if model in best[stage]]


def _rank(group: tuple[_Asked, dict[str, HeldOut]]) -> tuple[int, int, int, tuple[str, ...]]:
    (questions, rows, replies), models = group
    return len(models), rows, replies, questions


def gains(found: Sequence[HeldOut]) -> dict[tuple[str, str], Gain]:
    """(model, stage) -> paired gain over the model before training, where both have rates of the same rows."""
    before = {one.stage: one.rates for one in found if one.model == START}
    return {
        (one.model, one.stage): gain(before[one.stage], one.rates)
        for one in found
        if one.model != START and one.rates and before.get(one.stage, {}).keys() == one.rates.keys()
    }


def headline(paper: Paper, published: Sequence[Model], measured: Mapping[str, Sequence[Score]]) -> Md | None:
    """The table of averages, measured ones first; None without any."""
    names = [g for g in TITLES if any(g in model.averages for model in published)]
    averages = {model: paper.averages({one.benchmark: one.score for one in own}) for model, own in measured.items()}
    names += [g for g in TITLES if g not in names and any(g in found for found in averages.values())]
    if not names:
        return None
    rows: list[list[Cell]] = []
    for model, found in averages.items():
        cells: list[Cell] = [number(found[g]) if g in found else NOT_MEASURED for g in names]
        rows.append([code(model), Md(MEASURED), *cells])
    if not averages:
        rows.append([Md("this model"), Md(MEASURED), *[NOT_MEASURED for _ in names]])
    for one in published:
        cells = [number(one.averages[g]) if g in one.averages else Md("") for g in names]
        rows.append([Md(one.setting), Md(PUBLISHED), *cells])
    titles = [TITLES[g] for g in names]
    return table(("model", "whose number", *titles), rows, titles)


def benchmarks(published: Sequence[Model], measured: Mapping[str, Sequence[Score]]) -> Md | None:
    """The table of measured benchmarks with the published scores of each; None without any."""
    rows: list[list[Cell]] = []
    for model, found in measured.items():
        for score in found:
            low, high = score.low, score.high
            interval = Md(f" ({low:.1f} to {high:.1f})" if low is not None and high is not None else "")
            others = [
                Md(f"{one.setting} {one.benchmarks[score.benchmark][0]:g}{HOW[one.benchmarks[score.benchmark][1]]}")
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
    """The table of held-out accuracy; None without any."""
    gained = gains(found)
    rows: list[list[Cell]] = [
        [code(one.model), code(one.stage), one.rows, one.replies,
         Md(f"{percent(one.accuracy)} ({percent(one.low)} to {percent(one.high)})"),
         Md(str(gained[one.model, one.stage])) if (one.model, one.stage) in gained else None,
         percent(one.unparsed), number(one.tokens, 1)]
        for one in found
    ]  # fmt: skip
    names = ("rows", "replies", "right (95 %)", "gain in points (95 %)", "without an answer", "reply tokens")
    return table(("model", "held-out stage", *names), rows, names) if rows else None
