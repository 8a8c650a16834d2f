"""Paired gains of one model over another on a benchmark, from the samples whose outcome is known for both.

An outcome is unknown if the reply failed or no judge saw it. A reply without a readable answer is known: it is not
right. Unknown samples are left out and counted, and bound the gain from below and above.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum import mean_intervals, stats
from capcurriculum.errors import RunError
from capcurriculum.mean_intervals import Numbers
from capcurriculum.rows import Outcome
from evaluation.published import Paper
from evaluation.results.comparisons import Group, Interval, Line, Ratio
from evaluation.results.labels import Benchmark, Measured
from evaluation.results.samples import Sample

ALL = "all benchmarks"


@dataclass(frozen=True, slots=True)
class Side:
    """A model and its replies by benchmark and sample."""

    model: Measured
    replies: Mapping[Benchmark, Mapping[str, Sample]]


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on a benchmark: sample id -> whether right, for known outcomes.

    `asked` are the samples that either model was asked; `lengths` are the tokens of both, of shape (rows, 2).
    """

    benchmark: Benchmark
    asked: frozenset[str]
    before: Mapping[str, bool]
    after: Mapping[str, bool]
    lengths: Numbers
    finished: bool

    @property
    def common(self) -> list[str]:
        """The samples known for both, sorted."""
        return sorted(self.before.keys() & self.after.keys())

    @property
    def differences(self) -> Numbers:
        """After minus before on the common samples."""
        return np.array([float(self.after[key]) - float(self.before[key]) for key in self.common])


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair with draws of the means of its differences and lengths, which lines and groups share."""

    pair: Paired
    differences: Numbers
    means: mean_intervals.Drawn
    length_means: Numbers | None


def known(replies: Mapping[str, Sample]) -> dict[str, bool]:
    """Sample id -> whether the reply is right, for known outcomes."""
    return {key: one.outcome == Outcome.RIGHT for key, one in replies.items() if one.outcome != Outcome.FAILED}


def paired_replies(before: Side, after: Side) -> list[Paired]:
    """The benchmarks of both models with a sample that is known for both.

    Raises:
        RunError: they were asked different samples of a benchmark of that name.
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
    tokens = ((first[key].tokens, second[key].tokens) for key in sorted(one.keys() & other.keys()))
    lengths = [pair for pair in tokens if None not in pair]
    finished = benchmark in before.model.scores and benchmark in after.model.scores
    asked = frozenset(first.keys() | second.keys())
    return Paired(benchmark, asked, one, other, np.array(lengths, dtype=float).reshape(-1, 2), finished)


def drawn(pairs: Sequence[Paired], draws: int) -> list[Drawn]:
    """All pairs with draws that are independent between pairs."""
    found = []
    for seed, pair in enumerate(pairs):
        lengths = mean_intervals.bootstrap(pair.lengths, draws, seed) if len(pair.lengths) else None
        differences = pair.differences
        found.append(Drawn(pair, differences, stats.differences_drawn(differences, draws, seed), lengths))
    return found


def lines(pairs: Sequence[Drawn]) -> tuple[Line, ...]:
    """A line for each benchmark, with p-values adjusted for all of them."""
    tests = []
    for one in pairs:
        before, after = ({key: side[key] for key in one.pair.common} for side in (one.pair.before, one.pair.after))
        tests.append(stats.mcnemar(before, after))
    adjusted = stats.holm([test.p for test in tests])
    return tuple(map(_line, pairs, tests, adjusted))


def _line(drawn: Drawn, test: stats.Discordant, p_holm: float) -> Line:
    pair = drawn.pair
    least, most = bounds(pair)
    count = len(pair.common)
    return Line(
        suite=pair.benchmark[0],
        benchmark=pair.benchmark[1],
        pairs=count,
        unknown=len(pair.asked) - count,
        before=100 * sum(pair.before[key] for key in pair.common) / count,
        after=100 * sum(pair.after[key] for key in pair.common) / count,
        gain=_gain([drawn]),
        least=100 * least,
        most=100 * most,
        only_before=test.only_before,
        only_after=test.only_after,
        p=test.p,
        p_holm=p_holm,
        length=_length([drawn]),
        lengths=len(pair.lengths),
        finished=pair.finished,
    )


def bounds(pair: Paired) -> tuple[float, float]:
    """The gain over all samples if every unknown outcome went against `after`, and if every one went for it."""
    least = most = 0
    for key in pair.asked:
        one, other = pair.before.get(key), pair.after.get(key)
        least += (other or False) - (True if one is None else one)
        most += (True if other is None else other) - (one or False)
    return least / len(pair.asked), most / len(pair.asked)


def groups(pairs: Sequence[Drawn], paper: Paper) -> tuple[Group, ...]:
    """Gains over the finished groups of the paper, and over all finished benchmarks."""
    by_name = {one.pair.benchmark[1]: one for one in pairs if one.pair.finished}
    wanted = {name: names for name, names in paper.averaged.items() if by_name.keys() >= set(names)}
    if len(by_name) > 1 and all(set(names) != by_name.keys() for names in wanted.values()):
        wanted[ALL] = tuple(sorted(by_name))
    found = []
    for name, names in wanted.items():
        parts = [by_name[one] for one in names]
        found.append(Group(name=name, benchmarks=names, gain=_gain(parts), length=_length(parts)))
    return tuple(found)


def _gain(parts: Sequence[Drawn]) -> Interval:
    found = stats.gain_of([one.differences for one in parts], [one.means for one in parts])
    return Interval(value=100 * found.mean, low=100 * found.low, high=100 * found.high)


def _length(parts: Sequence[Drawn]) -> Ratio | None:
    means = [one.length_means for one in parts if one.length_means is not None]
    if len(means) < len(parts):
        return None
    found = stats.ratio_of([one.pair.lengths for one in parts], means)
    return Ratio(value=found.ratio, low=found.low, high=found.high) if found else None
