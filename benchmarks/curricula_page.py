"""The comparison of curricula as a section of docs/experiments.md, and its curves.

The words are computed from the intervals, so that they cannot say more than the numbers: a way is called better than
the reference only where the interval of the paired difference excludes zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from capcurriculum.results import HeldOut as Score
from training import curves

BEGIN, END = "<!-- curricula_compare: begin -->", "<!-- curricula_compare: end -->"
PLOT = "curricula_compare"
#: What the others are compared with, as in the paper.
REFERENCE = "merged"
DRAWS = 5000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """One trained model: steps and rollouts that it took, and its score on each stage's held-out rows."""

    way: str
    seed: int
    steps: int
    rollouts: int
    scores: dict[str, Score]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def write(found: Sequence[Result], series: Mapping[str, pl.DataFrame], docs: Path, ways: Sequence[str] = ()) -> None:
    """Replace what stands between the marks of `experiments.md`, and draw the curves beside it.

    `ways` are all that were to be compared; the page names those that `found` does not have.
    """
    file = docs / "experiments.md"
    text = file.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    file.write_text(f"{head}{BEGIN}\n" + "\n".join(_lines(found, ways)) + f"\n{END}{tail}", encoding="utf-8")
    if series:
        curves.draw(series, docs / PLOT)


def _lines(found: Sequence[Result], wanted: Sequence[str]) -> Iterator[str]:
    ways = [way for way in dict.fromkeys(result.way for result in found) if way != "start"]
    if not ways:
        yield from ("", "Nothing has been trained yet.", "")
        return
    stages = list(found[0].scores)
    rows = {stage: found[0].scores[stage].rows for stage in stages}
    seeds = {way: sorted(result.seed for result in found if result.way == way) for way in ways}
    told = ", ".join(f"{len(seeds[way])} ({way})" for way in ways)
    same = len({tuple(value) for value in seeds.values()}) == 1
    many = f"Seeds run: {len(seeds[ways[0]])}." if same else f"Seeds run: {told}."
    sizes = ", ".join(f"{count} {stage}" for stage, count in rows.items())
    yield from ("", f"{many} Held-out rows: {sizes}; {_replies(found)} replies to each at temperature 1.", "")
    yield f"| way | steps | rollouts | {' | '.join(f'{s} right' for s in stages)} | mean right | length (tokens) |"
    yield "|" + "---|" * (len(stages) + 5)
    for way in ("start", *ways):
        own = [result for result in found if result.way == way]
        cells = [_percent(share(own, [stage])) for stage in stages]
        length = np.mean([result.scores[stage].tokens for result in own for stage in stages])
        counts = f"{own[0].steps} | {own[0].rollouts:,}"
        yield f"| {way} | {counts} | {' | '.join(cells)} | {_percent(share(own, stages))} | {length:.1f} |"
    yield from ("", *_differences(found, ways, stages))
    if missing := [way for way in wanted if way not in ways]:
        yield f"Not trained here: {', '.join(missing)}. The same command goes on with them."
    yield ""


def _replies(found: Sequence[Result]) -> int:
    score = next(iter(found[0].scores.values()))
    return score.replies // score.rows


def _differences(found: Sequence[Result], ways: Sequence[str], stages: Sequence[str]) -> Iterator[str]:
    """Each way against the start and against the reference, in points, and what that says."""
    yield from _against("start", found, ways, stages)
    others = [way for way in ways if _pairs(found, REFERENCE, way) and way != REFERENCE]
    if others:
        yield ""
        yield from _against(REFERENCE, found, others, stages)
    if max(sum(result.way == way for result in found) for way in ways) == 1:
        yield "With one seed the intervals speak of the rows only, and say nothing of what another seed would give."


def _against(base: str, found: Sequence[Result], ways: Sequence[str], stages: Sequence[str]) -> Iterator[str]:
    yield f"| against {base}, points | {' | '.join(stages)} | mean of the stages | seeds |"
    yield "|" + "---|" * (len(stages) + 3)
    clear = []
    for way in ways:
        pairs = _pairs(found, base, way)
        parts = {stage: difference(pairs, [stage]) for stage in stages} | {"the mean": difference(pairs, stages)}
        clear += [f"{way} {'above' if i.mean > 0 else 'below'} on {name}" for name, i in parts.items() if i.clear]
        yield f"| {way} | {' | '.join(_points(interval) for interval in parts.values())} | {len(pairs)} |"
    yield ""
    if clear:
        tests = len(ways) * (len(stages) + 1)
        yield (
            f"Against {base} these intervals exclude zero: {'; '.join(clear)}. Of {tests} such intervals about "
            f"{0.05 * tests:.1f} would by chance."
        )
    else:
        yield f"No interval against {base} excludes zero: no difference was found at this size."


def share(results: Sequence[Result], stages: Sequence[str]) -> Interval:
    """The share of right replies, mean over the stages, each counting as much."""
    return _interval([_table([r.scores[stage].rates for r in results]) for stage in stages])


def difference(pairs: Sequence[tuple[Result, Result]], stages: Sequence[str]) -> Interval:
    """What the second of each pair has over the first, row by row."""
    return _interval(
        [
            _table([b.scores[stage].rates for _, b in pairs]) - _table([a.scores[stage].rates for a, _ in pairs])
            for stage in stages
        ]
    )


def _pairs(found: Sequence[Result], base: str, way: str) -> list[tuple[Result, Result]]:
    """(base, way) of every seed that both have; the start is the same for all seeds."""
    bases = {result.seed: result for result in found if result.way == base}
    own = [result for result in found if result.way == way]
    if base == "start":
        return [(bases[0], result) for result in own]
    return [(bases[result.seed], result) for result in own if result.seed in bases]


def _table(rates: Sequence[Mapping[str, float]]) -> Numbers:
    """A line for each model, a column for each row."""
    return np.array([[shares[row] for row in sorted(rates[0])] for shares in rates])


def _interval(tables: Sequence[Numbers]) -> Interval:
    """Mean over the tables' means; drawn anew are whole models, the same in all tables, and whole rows of each."""
    random = np.random.default_rng(0)
    models = len(tables[0])
    drawn = []
    for _ in range(DRAWS):
        chosen = random.integers(models, size=models)
        means = [t[chosen][:, random.integers(t.shape[1], size=t.shape[1])].mean() for t in tables]
        drawn.append(np.mean(means))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(np.mean([table.mean() for table in tables])), float(low), float(high))


def _percent(found: Interval) -> str:
    return f"{100 * found.mean:.1f} % ({100 * found.low:.1f}-{100 * found.high:.1f})"


def _points(found: Interval) -> str:
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
