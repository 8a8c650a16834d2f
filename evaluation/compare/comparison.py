"""Everything that is known of several models side by side, as one record."""

from collections.abc import Sequence

from capcurriculum import stats
from capcurriculum.errors import RunError
from evaluation.compare import pairs
from evaluation.compare.budget import budget
from evaluation.compare.pairs import Side
from evaluation.published import paper
from evaluation.results.comparisons import Compared, Comparison, Pair, Standing
from evaluation.results.labels import Benchmark, Measured


def compared(models: Sequence[Measured], draws: int = stats.DRAWS) -> Comparison:
    """The first model against each of the others.

    Raises:
        RunError: they have no sample in common, or were asked different ones under one benchmark's name.
    """
    if len(models) < 2:
        raise RunError("A comparison needs two models or more; name them.")
    first, *others = (Side.of(one) for one in models)
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
    own = pairs.drawn(found, draws)
    return Pair(
        before=before.model.name,
        after=after.model.name,
        lines=pairs.lines(own),
        groups=pairs.groups(own, paper()),
    )


def _standing(one: Measured, benchmark: Benchmark) -> Standing:
    suite, name = benchmark
    setup, digest = one.asked(benchmark)
    score, state = one.scores.get(benchmark), one.states.get(benchmark)
    bare = Standing(
        name=one.name, suite=suite, benchmark=name, digest=digest, setup=setup, state=state.state if state else ""
    )
    if score is None:
        return bare
    told = {
        "metric": score.metric, "score": score.score, "low": score.low, "high": score.high, "samples": score.samples,
        "unparsed": score.unparsed, "tokens": score.tokens, "judge": score.judge, "state": "done",
    }  # fmt: skip
    return Standing.model_validate(bare.model_dump() | told)
