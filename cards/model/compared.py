"""Comparisons of a checkpoint with other models, as `capcurriculum compare` stored them in the run.

Comparisons of outdated results are replaced by a sentence.
"""

from collections.abc import Sequence

from capcurriculum.render.markdown import Md, code, listed
from capcurriculum.run import Run
from cards.model.training import Training
from evaluation.results import comparison_tables, comparisons, results
from evaluation.results.comparisons import Comparison, Pair
from evaluation.results.results import Score

STALE = Md("A comparison in the run is outdated, because a model was evaluated again since, and is not shown.")


def own_scores(found: Sequence[Score], chain: Training) -> list[Score]:
    """The scores of the last checkpoint of a chain, by its weights, else by its label if the run has one chain."""
    if not chain.stages:
        return []
    last = chain.stages[-1]
    label = f"after {last.stage}" if chain.alone else None
    return [one for one in found if (one.weights == last.checkpoint_digest if one.weights else one.model == label)]


def compared(run: Run, chain: Training, found: Sequence[Score]) -> tuple[list[Md], list[Pair]]:
    """A part of the card for each pair with this checkpoint, and the pairs in which it is the second model.

    Raises:
        RunError: a comparison in the run is damaged.
    """
    own = {one.model for one in own_scores(found, chain)}
    parts: list[Md] = []
    after: list[Pair] = []
    for one in comparisons.comparisons(run.path / results.FOLDER):
        mine = {model.name for model in one.models if model.model in own}
        pairs = [pair for pair in one.pairs if mine & {pair.before, pair.after}]
        if pairs and _stale(one, found):
            parts += [STALE] if STALE not in parts else []
        elif pairs:
            parts += [_part(pair, one.draws) for pair in pairs]
            after += [pair for pair in pairs if pair.after in mine]
    return parts, after


def _stale(one: Comparison, found: Sequence[Score]) -> bool:
    """Whether a score of the comparison has changed since."""
    labels = {model.name: model.model for model in one.models}
    now = {(score.model, score.suite, score.benchmark): (score.setup, score.score) for score in found}
    return any(
        (labels[then.name], then.suite, then.benchmark) in now
        and now[labels[then.name], then.suite, then.benchmark] != (then.setup, then.score)
        for then in one.standings
    )


def _part(pair: Pair, draws: int) -> Md:
    text = (
        f"{code(pair.after)} against {code(pair.before)}, on the samples whose outcome is known for both (in brackets "
        f"{comparison_tables.intervals(draws)}; p by McNemar's exact test, adjusted for the number of benchmarks by "
        "Holm's method; the length ratio is that of mean reply tokens):"
    )
    few = listed([Md(f"{code(name)} ({count:,})") for name, count in comparison_tables.too_few(pair)], none="")
    told = [Md(f"Too few samples to tell a gain from a loss: {few}.")] if few else []
    tables = [comparison_tables.gains(pair), *comparison_tables.groups(pair)]
    return Md("\n\n".join([text, *(sheet.markdown() for sheet in tables), *told]))
