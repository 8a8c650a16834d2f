"""What one model gains over another on a benchmark, from the samples whose outcome is known for both.

An outcome is known unless the reply failed or no judge saw it. A reply without an answer is known: it is not right.
What is unknown is left out of the comparison, counted, and told as the least and the most it could make of the gain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum import stats
from capcurriculum.errors import RunError
from capcurriculum.rows import Outcome
from capcurriculum.stats import Numbers
from evaluation.published import Paper
from evaluation.results.comparisons import Group, Interval, Line
from evaluation.results.labels import Benchmark, Measured
from evaluation.results.samples import Sample

ALL = "all benchmarks"


@dataclass(frozen=True, slots=True)
class Side:
    """A model and its replies by benchmark and sample."""

    model: Measured
    replies: Mapping[Benchmark, Mapping[str, Sample]]

    @staticmethod
    def of(model: Measured) -> "Side":
        """With the replies read."""
        return Side(model, model.replies())


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models' replies to a benchmark: right or not by sample id, where known, for each; and the lengths.

    `asked` are all samples that either was asked; `lengths` are the tokens of both, shape (rows, 2).
    """

    benchmark: Benchmark
    asked: frozenset[str]
    before: Mapping[str, bool]
    after: Mapping[str, bool]
    lengths: Numbers
    finished: bool

    @property
    def common(self) -> list[str]:
        """The samples known for both."""
        return sorted(self.before.keys() & self.after.keys())

    @property
    def differences(self) -> Numbers:
        """After minus before on the common samples."""
        return np.array([float(self.after[key]) - float(self.before[key]) for key in self.common])


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair's differences and lengths with their bootstrap means, which lines and groups share."""

    pair: Paired
    differences: Numbers
    means: Numbers
    length_means: Numbers | None

    @staticmethod
    def of(pair: Paired, draws: int, seed: int) -> "Drawn":
        """Draw."""
        differences = pair.differences
        lengths = stats.bootstrap(pair.lengths, draws, seed) if len(pair.lengths) else None
        return Drawn(pair, differences, stats.bootstrap(differences, draws, seed), lengths)


def known(replies: Mapping[str, Sample]) -> dict[str, bool]:
    """Sample id -> whether the reply is right, of those of which that is known."""
    return {key: one.outcome == Outcome.RIGHT for key, one in replies.items() if one.outcome != Outcome.FAILED}


def paired_replies(before: Side, after: Side) -> list[Paired]:
    """Every benchmark that both were asked, and of which some sample is known for both.

    Raises:
        RunError: they were asked different samples under one name of a benchmark.
    """
    found = []
    for benchmark in sorted(before.replies.keys() & after.replies.keys()):
        digests = {side.model.asked(benchmark)[1] for side in (before, after)} - {""}
        if len(digests) > 1:
            raise RunError(
                f"{before.model.name} and {after.model.name} were asked different samples under the name "
                f"{benchmark[1]} (another version of it); evaluate both on the same ones."
            )
        pair = _paired(benchmark, before, after)
        if pair.common:
            found.append(pair)
    return found


def _paired(benchmark: Benchmark, before: Side, after: Side) -> Paired:
    first, second = before.replies[benchmark], after.replies[benchmark]
    one, other = known(first), known(second)
    lengths = [(first[key].tokens, second[key].tokens) for key in sorted(one.keys() & other.keys())]
    told = [pair for pair in lengths if None not in pair]
    finished = benchmark in before.model.scores and benchmark in after.model.scores
    asked = frozenset(first.keys() | second.keys())
    return Paired(benchmark, asked, one, other, np.array(told, dtype=float).reshape(-1, 2), finished)


def drawn(pairs: Sequence[Paired], draws: int) -> list[Drawn]:
    """All pairs with their draws, which are independent of each other."""
    return [Drawn.of(pair, draws, seed) for seed, pair in enumerate(pairs)]


def lines(pairs: Sequence[Drawn]) -> tuple[Line, ...]:
    """A line for each benchmark, its p-values adjusted for all of them."""
    tests = [_test(one.pair) for one in pairs]
    adjusted = stats.holm([test.p for test in tests])
    return tuple(_line(*one) for one in zip(pairs, tests, adjusted, strict=True))


def _test(pair: Paired) -> stats.Discordant:
    before, after = ({key: side[key] for key in pair.common} for side in (pair.before, pair.after))
    return stats.mcnemar(before, after)


def _line(own: Drawn, test: stats.Discordant, p_holm: float) -> Line:
    pair = own.pair
    least, most = bounds(pair)
    count = len(pair.common)
    return Line(
        suite=pair.benchmark[0],
        benchmark=pair.benchmark[1],
        pairs=count,
        unknown=len(pair.asked) - count,
        before=100 * sum(pair.before[key] for key in pair.common) / count,
        after=100 * sum(pair.after[key] for key in pair.common) / count,
        gain=_gain([own]),
        least=100 * least,
        most=100 * most,
        only_before=test.only_before,
        only_after=test.only_after,
        p=test.p,
        p_holm=p_holm,
        length=_length([own]),
        lengths=len(pair.lengths),
        finished=pair.finished,
    )


def bounds(pair: Paired) -> tuple[float, float]:
    """The gain over all samples asked, if every unknown outcome went against `after`, and if each went for it."""
    least = most = 0
    for key in pair.asked:
        one, other = pair.before.get(key), pair.after.get(key)
        least += (other or False) - (True if one is None else one)
        most += (True if other is None else other) - (one or False)
    return least / len(pair.asked), most / len(pair.asked)


def groups(pairs: Sequence[Drawn], paper: Paper) -> tuple[Group, ...]:
    """Gains over the paper's groups of benchmarks that are complete and finished, and over all benchmarks there are."""
    by_name = {one.pair.benchmark[1]: one for one in pairs if one.pair.finished}
    wanted = {name: names for name, names in paper.averaged.items() if by_name.keys() >= set(names)}
    if len(by_name) > 1 and all(set(names) != by_name.keys() for names in wanted.values()):
        wanted[ALL] = tuple(sorted(by_name))
    own = {name: [by_name[one] for one in names] for name, names in wanted.items()}
    return tuple(Group(name=name, benchmarks=wanted[name], gain=_gain(found), length=_length(found))
                 for name, found in own.items())  # fmt: skip


def _gain(own: Sequence[Drawn]) -> Interval:
    found = stats.gain_of([one.differences for one in own], [one.means for one in own])
    return Interval(value=100 * found.mean, low=100 * found.low, high=100 * found.high)


def _length(own: Sequence[Drawn]) -> Interval | None:
    means = [one.length_means for one in own if one.length_means is not None]
    if len(means) < len(own):
        return None
    found = stats.ratio_of([one.pair.lengths for one in own], means)
    return Interval(value=found.ratio, low=found.low, high=found.high) if found else None
