"""The share of wrong keys, with 95 % intervals, for each stratum, for kept and dropped questions, and for all rows.

Counts are of reviewers' decisions; shares and intervals come from the posterior in `slips`, weighted by rows.
`Rate` is the record of `filters.audit`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from datagen.auditor import Opinion
from filters.audit.noise import Rate
from review import slips
from review.sample import Cell, Sample
from review.slips import Votes

#: The rates over several strata.
KEPT, DROPPED, ALL = "kept", "dropped", "all"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rates by stratum, then for kept, dropped and all rows; and the reviewers' error rates (see `Posterior.slips`)."""

    rates: tuple[Rate, ...]
    slips: tuple[float, float] | None


def estimate(
    sample: Sample, opinions: Mapping[str, Opinion], votes: Mapping[str, tuple[int, int]], seed: int = 0
) -> Estimate:
    """Estimate from the adjudicated opinion and the votes (wrong, right) of each reviewed question.

    A question without a decisive vote counts for neither side; `least` and `most` of a rate bound the share as if all
    such questions were right, or wrong.
    """
    places = {(cell.stratum, cell.kept): place for place, cell in enumerate(sample.cells)}
    cell_votes: list[list[tuple[int, int]]] = [[] for _ in sample.cells]
    counts: list[Counter[Opinion]] = [Counter() for _ in sample.cells]
    for drawn in sample.drawn:
        place = places[drawn.stratum, drawn.kept]
        counts[place][opinions.get(drawn.question_id, Opinion.UNKNOWN)] += 1
        cell_votes[place].append(votes.get(drawn.question_id, (0, 0)))
    cells = [Votes.of(cell.rows, _group(cell), v) for cell, v in zip(sample.cells, cell_votes, strict=True)]
    found = slips.posterior(cells, seed)

    def rate(name: str, cells: Iterable[Cell]) -> Rate:
        at = [places[cell.stratum, cell.kept] for cell in cells]
        return _rate(name, [sample.cells[i] for i in at], [counts[i] for i in at], found.wrong[:, at].sum(axis=1))

    names = dict.fromkeys(cell.stratum for cell in sample.cells)
    rates = [rate(name, (c for c in sample.cells if c.stratum == name)) for name in names]
    rates.sort(key=lambda one: (not one.stratum.startswith(KEPT), -one.rows, one.stratum))
    for name, kept in ((KEPT, True), (DROPPED, False)):
        cells_of = [cell for cell in sample.cells if cell.kept is kept]
        if cells_of and name not in names:
            rates.append(rate(name, cells_of))
    if ALL not in names and len(names) > 1 and len({cell.kept for cell in sample.cells}) > 1:
        rates.append(rate(ALL, sample.cells))
    return Estimate(tuple(rates), found.slips)


def _group(cell: Cell) -> str:
    """Strata with the same first part, such as the reason of a drop, share a prior."""
    return f"{KEPT if cell.kept else DROPPED}, {cell.stratum.split(' | ')[0]}"


def _rate(name: str, cells: Sequence[Cell], counts: Sequence[Counter[Opinion]], wrong: slips.Counts) -> Rate:
    rows = sum(cell.rows for cell in cells)
    low, high = np.quantile(wrong, (0.025, 0.975)) / rows
    right, found = (sum(count[opinion] for count in counts) for opinion in (Opinion.AGREE, Opinion.DISAGREE))
    unknown = sum(count[Opinion.UNSURE] + count[Opinion.UNKNOWN] for count in counts)
    known = all(count[Opinion.AGREE] + count[Opinion.DISAGREE] for count in counts)
    return Rate(
        stratum=name,
        rows=rows,
        right=right,
        wrong=found,
        unknown=unknown,
        share=float(wrong.mean() / rows) if known else None,
        low=float(low),
        high=float(high),
        least=_weighted(cells, counts, (Opinion.DISAGREE,), 0.0),
        most=_weighted(cells, counts, (Opinion.DISAGREE, Opinion.UNSURE, Opinion.UNKNOWN), 1.0),
    )


def _weighted(
    cells: Sequence[Cell], counts: Sequence[Counter[Opinion]], opinions: Sequence[Opinion], undrawn: float
) -> float:
    """The share of questions with one of `opinions`, weighted by rows; `undrawn` for a cell without drawn questions."""
    rows = sum(cell.rows for cell in cells)
    total = 0.0
    for cell, count in zip(cells, counts, strict=True):
        share = sum(count[opinion] for opinion in opinions) / cell.drawn if cell.drawn else undrawn
        total += cell.rows / rows * share
    return total
