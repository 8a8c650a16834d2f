"""Build the record of a comparison."""

from collections.abc import Sequence
from dataclasses import asdict

from capcurriculum import mean_intervals
from capcurriculum.errors import RunError
from evaluation.compare import pairs
from evaluation.compare.budget import budget
from evaluation.compare.pairs import Side
from evaluation.published import paper
from evaluation.results.comparisons import Compared, Comparison, Pair, Standing
from evaluation.results.labels import Benchmark, Measured

_SCORED = ("metric", "score", "low", "high", "samples", "unparsed", "tokens", "judge")


def compared(models: Sequence[Measured], draws: int = mean_intervals.DRAWS) -> Comparison:
    """Compare the first model with each of the others, with `draws` bootstrap draws.

    Raises:
        RunError: there are fewer than two models, or two have no common sample or different versions of a benchmark.
    """
    if len(models) < 2:
        raise RunError("A comparison needs two models or more; name them.")
    first, *others = (Side(one, one.replies()) for one in models)
    return Comparison(
        models=tuple(Compared(name=one.name, model=one.model, weights=one.weights) for one in models),
        standings=tuple(_standing(one, name) for one in models for name in one.benchmarks),
        pairs=tuple(_pair(first, other, draws) for other in others),
        budget=budget([first, *others]),
        draws=draws,
    )


def _pair(before: Side, after: Side, draws: int) -> Pair:
    found = pairs.paired_replies(before, after)
    if not found:
        raise RunError(
            f"{before.model.name} and {after.model.name} have no sample in common whose outcome is known for both; "
            "evaluate them on the same benchmarks."
        )
    drawn = pairs.drawn(found, draws)
    return Pair(
        before=before.model.name,
        after=after.model.name,
        lines=pairs.lines(drawn),
        groups=pairs.groups(drawn, paper()),
    )


def _standing(one: Measured, benchmark: Benchmark) -> Standing:
    suite, name = benchmark
    setup, digest = one.asked(benchmark)
    score, state = one.scores.get(benchmark), one.states.get(benchmark)
    scored = {field: value for field, value in asdict(score).items() if field in _SCORED} if score else {}
    how = "done" if score else state.state if state else ""
    return Standing(name=one.name, suite=suite, benchmark=name, digest=digest, setup=setup, state=how, **scored)
