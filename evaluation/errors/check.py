"""How far people and the judge agree on the cases that both decided, and the share of perception that follows.

A judge's mistakes bias a share, and more votes of the same judge do not help. Where a random part of the cases has been
looked at by people too, their words correct it: in each group of cases that the judge decided alike, people tell how
many are errors of perception, and the groups count as much as they have cases (double sampling, Tenenbein 1970, JASA
65:1350-1361). Unlike that of Rogan and Gladen (1978) this correction needs no known error rates, and stays within 0
and 1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum.stats import wilson
from evaluation.errors.decide import Decision
from evaluation.errors.kinds import ERRORS, Side

DRAWS = 20_000
#: Cases that people must have decided before a share is corrected by them.
LEAST = 20


@dataclass(frozen=True, slots=True)
class Agreed:
    """On how many of the cases that both decided they say the same, with Wilson's 95 % interval.

    `asked` says of what: `perception or not`, `side`, or `kind`; `alpha` is Krippendorff's (None where undefined or
    unknown).
    """

    asked: str
    same: int
    both: int
    low: float
    high: float
    alpha: float | None

    @property
    def share(self) -> float | None:
        """The share, None where both decided nothing."""
        return self.same / self.both if self.both else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """The share of errors of perception among errors by people's words, over all judged cases, with a 95 % interval."""

    share: float
    low: float
    high: float
    people: int


def agreements(judge: Mapping[str, Decision], people: Mapping[str, Decision]) -> list[Agreed]:
    """Judge and people compared in three ways; cases that either left unsure or unknown are left out."""
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
    from importlib.util import find_spec

    same = sum(one == other for one, other, _ in pairs)
    low, high = wilson(same, len(pairs)) if pairs else (0.0, 1.0)
    rows: list[tuple[str, str, str | int]] = [
        row for one, other, key in pairs for row in (("judge", key, one), ("people", key, other))
    ]
    from review.agreement import alpha

    return Agreed(asked, same, len(pairs), low, high, alpha(rows) if find_spec("nltk") else None)


def corrected(judge: Mapping[str, Decision], people: Mapping[str, Decision], seed: int = 0) -> Corrected | None:
    """The share by people's words, if those they looked at are a random part of all that was judged.

    None where people decided fewer than `LEAST` cases, or none of a group that the judge has cases in. The interval is
    that of draws from each group's Dirichlet posterior under Jeffreys' prior, over perception, other errors, no error,
    the groups' sizes being drawn too (Rubin's Bayesian bootstrap, 1981): like the judge's own, it is about the cases
    that these are a sample of.
    """
    groups = Counter(_group(one) for one in judge.values())
    said: dict[str, Counter[str]] = {name: Counter() for name in groups}
    for key, one in people.items():
        if key in judge and _decided(one):
            said[_group(judge[key])][_third(one)] += 1
    count = sum(own.total() for own in said.values())
    if count < LEAST or not all(own.total() for own in said.values()):
        return None
    generator = np.random.default_rng(seed)
    names = sorted(groups)
    sizes = generator.dirichlet([groups[name] for name in names], DRAWS)
    mean, drawn = np.zeros(3), np.zeros((DRAWS, 3))
    for place, name in enumerate(names):
        told = np.array([said[name][third] for third in _THIRDS], dtype=float)
        mean += groups[name] * told / told.sum()
        drawn += sizes[:, [place]] * generator.dirichlet(told + 0.5, DRAWS)
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
    """The cases that a judge decided alike: perception, everything else that it decided, and what it did not."""
    return _perception(one) if _decided(one) else "undecided"
