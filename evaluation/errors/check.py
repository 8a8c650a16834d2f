"""Agreement of people and judge on the cases that both decided, and the share of perception corrected by people.

A judge's mistakes bias a share, and more votes of the same judge do not help. People's answers on a random part of the
cases correct it by double sampling (Tenenbein 1970, JASA 65:1350-1361): the share of perception in each group of cases
that the judge decided alike is estimated from people, and weighted by the size of the group. Unlike the correction of
Rogan and Gladen (1978), this needs no known error rates and stays between 0 and 1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from capcurriculum.stats import wilson
from evaluation.errors.kinds import ERRORS, Side
from evaluation.errors.votes import Decision

DRAWS = 20_000
#: The least number of cases decided by people for a corrected share.
LEAST = 20


@dataclass(frozen=True, slots=True)
class Agreed:
    """Agreement on the cases that both decided, with the Wilson 95 % score interval.

    `asked` is what is compared: `perception or not`, `side` or `kind`. `alpha` is Krippendorff's alpha (None where it
    is undefined or NLTK is missing).
    """

    asked: str
    same: int
    both: int
    low: float
    high: float
    alpha: float | None

    @property
    def share(self) -> float | None:
        """The share of agreement; None without cases."""
        return self.same / self.both if self.both else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """The corrected share of perception among errors, with its 95 % interval; `people` is the number of their cases."""

    share: float
    low: float
    high: float
    people: int


def agreements(judge: Mapping[str, Decision], people: Mapping[str, Decision]) -> list[Agreed]:
    """Judge and people compared in three ways, without cases that either left unsure or unknown."""
    both = [(judge[key], people[key], key) for key in sorted(judge.keys() & people.keys())
            if _decided(judge[key]) and _decided(people[key])]  # fmt: skip
    kinds = [(one.kind, other.kind, key) for one, other, key in both if one.kind and other.kind]
    return [
        _agreed("perception or not", [(_perception(one), _perception(other), key) for one, other, key in both]),
        _agreed("side", [(str(one.side), str(other.side), key) for one, other, key in both]),
        _agreed("kind", kinds),
    ]


def _decided(one: Decision) -> bool:
    return one.side is not None and one.side is not Side.UNSURE


def _perception(one: Decision) -> str:
    return "yes" if one.side is Side.PERCEPTION else "no"


def _agreed(asked: str, pairs: Sequence[tuple[str, str, str]]) -> Agreed:
    same = sum(one == other for one, other, _ in pairs)
    low, high = wilson(same, len(pairs)) if pairs else (0.0, 1.0)
    rows: list[tuple[str, str, str | int]] = [
        row for one, other, key in pairs for row in (("judge", key, one), ("people", key, other))
    ]
    if find_spec("nltk") is None:
        return Agreed(asked, same, len(pairs), low, high, None)
    from review.agreement import alpha

    return Agreed(asked, same, len(pairs), low, high, alpha(rows))


def corrected(judge: Mapping[str, Decision], people: Mapping[str, Decision], seed: int = 0) -> Corrected | None:
    """The share corrected by people, whose cases must be a random sample of the judged ones.

    None where people decided fewer than `LEAST` cases, or none in one of the judge's groups. The interval is from draws
    of each group's Dirichlet posterior over perception, other errors and no error, under Jeffreys' prior, with group
    sizes drawn as well (Bayesian bootstrap, Rubin 1981, Ann. Statist. 9:130-134), so it is about the population that
    the cases are a sample of.
    """
    groups = Counter(_group(one) for one in judge.values())
    answers: dict[str, Counter[str]] = {name: Counter() for name in groups}
    for key, one in people.items():
        if key in judge and _decided(one):
            answers[_group(judge[key])][_third(one)] += 1
    count = sum(own.total() for own in answers.values())
    if count < LEAST or not all(own.total() for own in answers.values()):
        return None
    generator = np.random.default_rng(seed)
    names = sorted(groups)
    sizes = generator.dirichlet([groups[name] for name in names], DRAWS)
    mean, drawn = np.zeros(3), np.zeros((DRAWS, 3))
    for place, name in enumerate(names):
        counts = np.array([answers[name][third] for third in _THIRDS], dtype=float)
        mean += groups[name] * counts / counts.sum()
        drawn += sizes[:, [place]] * generator.dirichlet(counts + 0.5, DRAWS)
    if not mean[:2].sum():
        return None
    low, high = np.quantile(drawn[:, 0] / drawn[:, :2].sum(axis=1), [0.025, 0.975])
    return Corrected(float(mean[0] / mean[:2].sum()), float(low), float(high), count)


_THIRDS = ("perception", "another error", "no error")


def _third(one: Decision) -> str:
    if one.side is Side.PERCEPTION:
        return _THIRDS[0]
    return _THIRDS[1] if one.side in ERRORS else _THIRDS[2]


def _group(one: Decision) -> str:
    """The judge's group of a case: perception, another decision, or undecided."""
    return _perception(one) if _decided(one) else "undecided"
