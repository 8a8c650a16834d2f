"""Shares of mistakes among the errors that could be told, with intervals; what could not be told is never one of them.

The share of a side is its cases over those of all four sides of errors. Cases that are unsure, unknown or no error are
in neither number; `least` and `most` say what the share would be if the unsure and unknown ones were all errors of
another side, or all of this one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum.stats import DRAWS, bootstrap, wilson
from evaluation.errors.cases import Case
from evaluation.errors.decide import Decision
from evaluation.errors.kinds import ERRORS, Side


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one side with its 95 % interval; None where no error could be told."""

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
    """Of some cases (`of`: a benchmark, or all): how many were judged, what they count as, and the shares.

    `kinds` counts the kinds that are clear; a case whose side is clear and whose kind is open is in none of them.
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
        """The share that this is about."""
        return next(one for one in self.shares if one.side == Side.PERCEPTION)


ALL = "all"


def estimates(cases: Sequence[Case], decisions: Mapping[str, Decision], seed: int = 0) -> list[Estimate]:
    """One for each benchmark and, of several, one over all cases; `decisions` are by case key."""
    names = sorted({case.benchmark for case in cases})
    found = [_of(name, [case for case in cases if case.benchmark == name], decisions, seed) for name in names]
    return found if len(found) < 2 else [*found, _of(ALL, cases, decisions, seed)]


def _of(name: str, cases: Sequence[Case], decisions: Mapping[str, Decision], seed: int) -> Estimate:
    told = [(case, decisions.get(case.key, Decision(None))) for case in cases]
    sides = Counter(decision.side for _, decision in told)
    return Estimate(
        of=name,
        cases=len(cases),
        unsure=sides[Side.UNSURE],
        unknown=sides[None],
        no_error=sides[Side.NO_ERROR],
        shares=tuple(share(side, [(case.cluster, decision.side) for case, decision in told], seed) for side in ERRORS),
        kinds=dict(sorted(Counter(d.kind for _, d in told if d.kind and d.side in ERRORS).items())),
    )


def share(of: Side, told: Iterable[tuple[str, Side | None]], seed: int = 0, draws: int = DRAWS) -> Share:
    """The share of a side over (cluster, side) pairs.

    The interval is Wilson's for as many independent errors as these are worth: their number over the design effect,
    which is the variance over bootstrap draws of whole clusters (with all that is undecided in them) over that of
    independent errors (Korn and Graubard 1998, Survey Methodology 24:193-201). Percentiles of the draws would be too
    narrow for few errors, and a point where all are of one sort.
    """
    rows = list(told)
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
    worth = float((counts[:, 1] > 0).sum())  # one for each cluster, where they are all alike
    if 0 < count < errors:
        drawn = bootstrap(counts, draws, seed)
        drawn = drawn[drawn[:, 1] > 0]
        alone = count / errors * (1 - count / errors) / errors
        worth = errors / max(1.0, float((drawn[:, 0] / drawn[:, 1]).var()) / alone)
    return wilson(count / errors * worth, worth)
