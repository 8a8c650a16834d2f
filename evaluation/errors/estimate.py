"""Shares of the sides among decided errors, with intervals.

The share of a side is its cases over those of all four error sides. Cases that are unsure, unknown or no error are in
neither number; `least` and `most` are the share if the unsure and unknown cases were all of another side, or all of
this one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum.mean_intervals import DRAWS, bootstrap
from capcurriculum.stats import wilson
from evaluation.errors.cases import Case
from evaluation.errors.kinds import ERRORS, Side
from evaluation.errors.votes import Decision


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one side with its 95 % interval; `share` is None without a decided error."""

    side: str
    count: int
    errors: int
    share: float | None
    low: float
    high: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts and shares over judged cases `of` one benchmark, or of all.

    `kinds` counts the cases by kind, without those that have a side and no clear kind.
    """

    of: str
    cases: int
    unsure: int
    unknown: int
    no_error: int
    shares: tuple[Share, ...]
    kinds: Mapping[str, int]

    @property
    def perception(self) -> Share:
        """The share of errors of perception."""
        return next(one for one in self.shares if one.side == Side.PERCEPTION)


ALL = "all"


def estimates(cases: Sequence[Case], decisions: Mapping[str, Decision], seed: int = 0) -> list[Estimate]:
    """One for each benchmark and, if there are several, one over all cases; `decisions` are by case key."""
    names = sorted({case.benchmark for case in cases})
    found = [_of(name, [case for case in cases if case.benchmark == name], decisions, seed) for name in names]
    return found if len(found) < 2 else [*found, _of(ALL, cases, decisions, seed)]


def _of(name: str, cases: Sequence[Case], decisions: Mapping[str, Decision], seed: int) -> Estimate:
    decided = [(case.cluster, decisions.get(case.key, Decision(None))) for case in cases]
    sides = Counter(decision.side for _, decision in decided)
    return Estimate(
        of=name,
        cases=len(cases),
        unsure=sides[Side.UNSURE],
        unknown=sides[None],
        no_error=sides[Side.NO_ERROR],
        shares=tuple(share(side, [(cluster, d.side) for cluster, d in decided], seed) for side in ERRORS),
        kinds=dict(sorted(Counter(d.kind for _, d in decided if d.kind and d.side in ERRORS).items())),
    )


def share(of: Side, cases: Iterable[tuple[str, Side | None]], seed: int = 0, draws: int = DRAWS) -> Share:
    """The share of a side over (cluster, side) pairs.

    The interval is the Wilson score interval for the effective number of errors: their number over the design effect,
    which is the variance over bootstrap draws of whole clusters divided by that of independent errors (Korn and
    Graubard 1998, Survey Methodology 24:193-201). Bootstrap percentiles would be too narrow for few errors, and a point
    where all are of one side.
    """
    rows = list(cases)
    clusters: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for cluster, side in rows:
        clusters[cluster][0] += side is of
        clusters[cluster][1] += side in ERRORS
    count, errors = (sum(own[place] for own in clusters.values()) for place in (0, 1))
    undecided = sum(side in (None, Side.UNSURE) for _, side in rows)
    whole = errors + undecided
    least, most = (count / whole, (count + undecided) / whole) if whole else (0.0, 1.0)
    low, high = _interval(np.array(list(clusters.values()), dtype=float).reshape(-1, 2), count, errors, seed, draws)
    return Share(of, count, errors, count / errors if errors else None, low, high, least, most)


def _interval(counts: np.ndarray, count: int, errors: int, seed: int, draws: int) -> tuple[float, float]:
    """`counts` has shape (clusters, 2): cases of the side, and errors."""
    if not errors:
        return 0.0, 1.0
    effective = float((counts[:, 1] > 0).sum())  # one for each cluster, if all errors are of one side
    if 0 < count < errors:
        drawn = bootstrap(counts, draws, seed)
        drawn = drawn[drawn[:, 1] > 0]
        alone = count / errors * (1 - count / errors) / errors
        effective = errors / max(1.0, float((drawn[:, 0] / drawn[:, 1]).var()) / alone)
    return wilson(count / errors * effective, effective)
