"""The cost of kept and dropped rows as one table, for the terminal, the report and the cards."""

from collections.abc import Iterator, Sequence

from capcurriculum.ledger.kept_cost import KEPT, OPEN, Amount, StageCost
from capcurriculum.render.table import Name, Sheet

_NUMBERS = ("rows", "requests", "tokens in", "tokens out", "model s", "cost")
_ENDS = {KEPT: "kept", OPEN: "not judged yet"}


def sheet(costs: Sequence[StageCost]) -> Sheet:
    """Stage by stage what rows cost by the filter that dropped them, of those that are kept, and for each kept row.

    Rows that a filter dropped ended there. The column `cost` stands only where a model has prices, and has "?" for rows
    that only models without were asked about.
    """
    priced = any(cost.total.money is not None for cost in costs)
    numbers = _NUMBERS if priced else _NUMBERS[:-1]
    rows = [row if priced else row[:-1] for cost in costs for row in _rows(cost)]
    return Sheet("", ("stage", "ended at", *numbers), numbers, tuple(rows))


def unpriced(costs: Sequence[StageCost]) -> list[str]:
    """The models that the column `cost` leaves out, as they have no prices; none where there is no such column."""
    if all(cost.total.money is None for cost in costs):
        return []
    return sorted({name for cost in costs for name in cost.total.unpriced})


def sentences(costs: Sequence[StageCost]) -> list[str]:
    """What a kept row of each stage cost, and what that leaves out."""
    said = [f"{cost.stage}: {cost.sentence()}" for cost in costs if cost.sentence()]
    return [*said, *remarks(costs)]


def remarks(costs: Sequence[StageCost]) -> list[str]:
    """What the column `cost` leaves out, in a sentence; nothing where it leaves out nothing."""
    without = ", ".join(unpriced(costs))
    return [f"The cost is that of the models with prices; without are {without}."] if without else []


def _rows(cost: StageCost) -> Iterator[tuple[str, ...]]:
    dropped = [end for end in cost.ends if end not in _ENDS]
    # What was spent most on comes first.
    for end in sorted(dropped, key=lambda name: -_tokens(cost.ends[name])):
        yield Name(cost.stage), end, f"{cost.rows.get(end, 0):,}", *_cells(cost.ends[end])
    for end, words in _ENDS.items():
        if end in cost.ends:
            yield Name(cost.stage), words, f"{cost.rows.get(end, 0):,}", *_cells(cost.ends[end])
    if each := cost.a_kept_row:
        yield Name(cost.stage), "each kept row", "", *_cells(each)


def _tokens(amount: Amount) -> float:
    return amount.tokens_in + amount.tokens_out


def _cells(amount: Amount) -> tuple[str, ...]:
    numbers = (amount.requests, amount.tokens_in, amount.tokens_out, amount.seconds)
    return (*map(_number, numbers), "?" if amount.money is None else f"{amount.money:,.4g}")


def _number(value: float) -> str:
    """A whole number from a hundred on, three digits below."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
