"""Tables of a comparison, for the terminal, Markdown files and cards.

Published numbers have rows of their own, marked as such, below the measured ones, and enter no measured average.
"""

from collections.abc import Iterator, Sequence

from capcurriculum import mean_intervals
from capcurriculum.render.table import Name, Sheet, plain
from evaluation.published import Model, Paper
from evaluation.results.comparisons import Comparison, Interval, Pair, Ratio, Standing

TITLES = {"visual_math": "visual math", "perception": "perception", "overall": "overall", "extended": "extended"}
PUBLISHED, MEASURED, UNKNOWN = "published, not measured by us", "measured by us", "not measured"
#: A suffix for published numbers that the paper does not state.
HOW = {"stated": "", "figure": " (from a figure)", "derived": " (derived)"}
#: Columns of the table of accuracy at equal length.
_SHOWN = 6


def sheets(found: Comparison, paper: Paper, published: Sequence[Model]) -> Iterator[Sheet]:
    """All tables, most important first."""
    yield headline(found, paper, published)
    yield scores(found, published)
    for pair in found.pairs:
        yield gains(pair)
        yield from groups(pair)
    if found.budget:
        yield at_equal_length(found)


def headline(found: Comparison, paper: Paper, published: Sequence[Model]) -> Sheet:
    """Averages over complete groups of benchmarks; without one, over the benchmarks finished for all models."""
    own = {one.name: paper.averages(found.scores(one.name)) for one in found.models}
    titles = dict(TITLES)
    if not any(own.values()):
        shared = sorted(set.intersection(*({*found.scores(name)} for name in own)))
        if shared:
            own = {name: {"": sum(found.scores(name)[one] for one in shared) / len(shared)} for name in own}
        titles = {"": f"mean of {len(shared)} benchmark{'s' if len(shared) != 1 else ''}"} | titles
    shown = [g for g in titles if any(g in values for values in (*own.values(), *(m.averages for m in published)))]
    rows = [(Name(name), MEASURED, *(_score(values.get(g)) for g in shown)) for name, values in own.items()]
    rows += [(_called(one), PUBLISHED, *(f"{one.averages[g]:.2f}" if g in one.averages else "" for g in shown))
             for one in published]  # fmt: skip
    numbers = tuple(titles[g] for g in shown)
    return Sheet("Averages, percent", ("model", "whose number", *numbers), numbers, tuple(rows))


def scores(found: Comparison, published: Sequence[Model]) -> Sheet:
    """The scores of each benchmark by model, followed by published ones."""
    numbers = ("score", "samples", "unparsed", "reply tokens")
    order = {one.name: place for place, one in enumerate(found.models)}
    rows: list[tuple[str, ...]] = []
    for suite, benchmark in sorted({(one.suite, one.benchmark) for one in found.standings}):
        own = [one for one in found.standings if (one.suite, one.benchmark) == (suite, benchmark)]
        rows += [_scored(one) for one in sorted(own, key=lambda one: order[one.name])]
        others = [(model, *model.benchmarks[benchmark]) for model in published if benchmark in model.benchmarks]
        rows += [(Name(benchmark), _called(model), PUBLISHED, f"{score:g}{HOW[how]}", "", "", "", "")
                 for model, score, how in others]  # fmt: skip
    columns = ("benchmark", "model", "whose number", *numbers, "graded by")
    return Sheet("Scores by benchmark, percent", columns, numbers, tuple(rows))


def _scored(one: Standing) -> tuple[str, ...]:
    named = (Name(one.benchmark), Name(one.name), MEASURED)
    if one.score is None:
        return (*named, f"unknown ({one.state or 'no score'})", "", "", "", "")
    interval = "" if one.low is None or one.high is None else f" ({one.low:.1f} to {one.high:.1f})"
    metric = "" if one.metric in ("", "accuracy") else f" [{plain(one.metric)}]"
    tokens = "unknown" if one.tokens is None else f"{one.tokens:,.1f}"
    unparsed = "unknown" if one.unparsed is None else f"{one.unparsed:,}"
    judge = Name(one.judge) if one.judge else "a program"
    return (*named, f"{one.score:.1f}{interval}{metric}", f"{one.samples:,}", unparsed, tokens, judge)


def gains(pair: Pair) -> Sheet:
    """Gains of the second model over the first by benchmark, on the samples known for both."""
    numbers = ("samples", "unknown", "gain in points (95 %)", "if unknown", "only first", "only second", "p",
               "p (Holm)", "length ratio (95 %)")  # fmt: skip
    rows = tuple(
        (
            Name(one.benchmark),
            f"{one.pairs:,}",
            f"{one.unknown:,}",
            _gain(one.gain),
            f"{one.least:+.1f} to {one.most:+.1f}" if one.unknown else "",
            f"{one.only_before:,}",
            f"{one.only_after:,}",
            _p(one.p),
            _p(one.p_holm),
            _ratio(one.length),
        )
        for one in pair.lines
    )
    return Sheet(f"{plain(pair.after)} against {plain(pair.before)}, paired by sample", ("benchmark", *numbers),
                 numbers, rows)  # fmt: skip


def groups(pair: Pair) -> Iterator[Sheet]:
    """Gains over complete groups of benchmarks, if there are any."""
    numbers = ("benchmarks", "gain in points (95 %)", "length ratio (95 %)")
    rows = tuple(
        (TITLES.get(one.name, one.name), str(len(one.benchmarks)), _gain(one.gain), _ratio(one.length))
        for one in pair.groups
    )
    if rows:
        title = f"{plain(pair.after)} against {plain(pair.before)}, every benchmark weighing as much"
        yield Sheet(title, ("over", *numbers), numbers, rows)


def intervals(draws: int) -> str:
    """How the intervals of gains were made."""
    return (
        f"95 % percentile intervals of {draws:,} bootstrap draws of samples; with fewer than {mean_intervals.ROWS} "
        f"samples, or fewer than {mean_intervals.UNLIKE} that are unlike the others, Gaffke's bounds, which agree "
        "with McNemar's exact test"
    )


def too_few(pair: Pair) -> list[tuple[str, int]]:
    """The benchmarks, each with its samples, that have too few of them to tell a gain from a loss."""
    return [(one.benchmark, one.pairs) for one in pair.lines if one.too_few]


def at_equal_length(found: Comparison) -> Sheet:
    """Accuracy at equal length, for a few points of the curves; raises `ValueError` without curves."""
    if found.budget is None:
        raise ValueError("there is no accuracy at equal length")
    budget = found.budget
    last = len(budget.tokens) - 1
    places = sorted({round(number * last / (_SHOWN - 1)) for number in range(_SHOWN)})
    numbers = tuple(f"{budget.tokens[place]:,}" for place in places)
    rows = tuple(
        (Name(one.name), *(f"{one.accuracy[p]:.1f} ({one.low[p]:.1f} to {one.high[p]:.1f})" for p in places))
        for one in budget.curves
    )
    title = f"Percent right within so many tokens, over {budget.samples:,} samples known for all models"
    return Sheet(title, ("model", *numbers), numbers, rows)


def chosen(found: Comparison, paper: Paper) -> tuple[Model, ...]:
    """The published models with a number for a measured benchmark, or for a group with one."""
    measured = {one.benchmark for one in found.standings}
    groups = {group for group, names in paper.averaged.items() if measured & set(names)}
    return tuple(one for one in paper.models if measured & one.benchmarks.keys() or groups & one.averages.keys())


def _called(model: Model) -> str:
    return f"{model.base.rpartition('/')[2]} {model.setting}"


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _gain(one: Interval) -> str:
    return f"{one.value:+.1f} ({one.low:+.1f} to {one.high:+.1f})"


def _ratio(one: Ratio | None) -> str:
    if one is None:
        return "unknown"
    few = one.low is None or one.high is None
    return f"{one.value:.3f} " + ("(too few samples)" if few else f"({one.low:.3f} to {one.high:.3f})")


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
