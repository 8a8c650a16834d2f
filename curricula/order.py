"""Orders: pure functions from `Keys` to named sets of row indices by split.

Every order is a permutation of the rows of its stages, except that `take` leaves out training rows, and replay adds
some of earlier stages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from capcurriculum import stats
from capcurriculum.errors import RecipeError
from capcurriculum.recipe.curriculum import STAGED, OrderSection
from curricula import hashing, merge, subset
from curricula.keys import Indices, Keys
from curricula.split import SPLITS

#: Sorts row indices.
Sorting = Callable[[Indices], Indices]


@dataclass(frozen=True, slots=True)
class OrderedSet:
    """A named set: for every split of `SPLITS` its rows, as indices into the `Keys`."""

    name: str
    rows: tuple[Indices, ...]


def arrange(order: OrderSection, keys: Keys, seed: int) -> list[OrderedSet]:
    """The sets of an order, in the order they are trained; with epochs one set for each epoch.

    Raises:
        RecipeError: the order names a stage or a label that the rows do not have.
    """
    stages = _stages(order, keys)
    made: list[OrderedSet] = []
    for number in range(len(stages) if order.order in STAGED else 1):
        for epoch in range(1, order.epochs + 1):
            salt = (seed,) if order.epochs == 1 else (seed, "epoch", epoch)
            name = stages[number] if order.order in STAGED else order.order
            chosen = [*stages[: number + 1]] if order.order in STAGED else stages
            rows = tuple(_rows(order, keys, chosen, salt, split, seed) for split in range(len(SPLITS)))
            made.append(OrderedSet(name if order.epochs == 1 else f"{name}/epoch-{epoch:02d}", rows))
    return made


def _stages(order: OrderSection, keys: Keys) -> list[str]:
    there = keys.stages
    wanted = list(order.stages) or there
    if missing := [stage for stage in wanted if stage not in there]:
        raise RecipeError(
            f"The order {order.folder} wants the stage {missing[0]}, and the run has rows of {' and '.join(there)}; "
            f"name only those."
        )
    return wanted


def _rows(
    order: OrderSection, keys: Keys, stages: Sequence[str], salt: tuple[object, ...], split: int, seed: int
) -> Indices:
    """One split of one set; for a staged order the last of `stages` is the set's, the others come before it."""
    in_order = _sorting(order, keys, salt)
    own = stages[-1:] if order.order in STAGED else stages
    rows = in_order(_taken(order, keys, own, seed) if SPLITS[split] == "train" else _of(keys, own, split))
    if order.order == "interleaved":
        rows = rows[_proportions(order, keys, rows)]
    elif order.replay and SPLITS[split] == "train":
        rows = _with_replay(order, keys, rows, stages, salt, in_order, seed)
    if order.balance:
        rows = rows[merge.balance(keys.labels(order.balance.by).codes[rows].astype(np.int64), order.balance.batch)]
    return rows


def _taken(order: OrderSection, keys: Keys, stages: Sequence[str], seed: int) -> Indices:
    """The training rows of stages, of each the share that the order takes."""
    train = SPLITS.index("train")
    parts = [subset.chosen(_of(keys, [stage], train), keys, order.take, seed) for stage in stages]
    return np.sort(np.concatenate(parts))


def _of(keys: Keys, stages: Sequence[str], split: int) -> Indices:
    codes = [keys.taught.index(stage) for stage in stages]
    return np.flatnonzero(np.isin(keys.stage, codes) & (keys.split == split))


def _sorting(order: OrderSection, keys: Keys, salt: tuple[object, ...]) -> Sorting:
    def shuffled(rows: Indices) -> Indices:
        return rows[np.argsort(hashing.mixed(keys.key[rows], "tie", *salt))]

    def by_rate(rows: Indices) -> Indices:
        mixed = shuffled(rows)
        rate = stats.pass_rate(keys.k[mixed], keys.n[mixed])
        return mixed[np.argsort(rate if order.reverse else -rate, kind="stable")]

    return shuffled if order.order in ("merged", "capability") else by_rate


def _proportions(order: OrderSection, keys: Keys, rows: Indices) -> Indices:
    labels = keys.labels(order.by)
    codes = labels.codes[rows].astype(np.int64)
    sizes = np.bincount(codes, minlength=len(labels.names))
    if not order.proportions:
        return merge.interleave(codes, np.maximum(sizes, 1))
    there = {name for name, size in zip(labels.names, sizes.tolist(), strict=True) if size}
    if odd := sorted(there - order.proportions.keys()) or sorted(order.proportions.keys() - set(labels.names)):
        raise RecipeError(
            f"The proportions of the order {order.folder} must name every {order.by} there is "
            f"({', '.join(sorted(there))}) and no other; look at {odd[0]!r}."
        )
    return merge.interleave(codes, np.array([order.proportions.get(name, 1.0) for name in labels.names]))


def _with_replay(
    order: OrderSection,
    keys: Keys,
    rows: Indices,
    stages: Sequence[str],
    salt: tuple[object, ...],
    in_order: Sorting,
    seed: int,
) -> Indices:
    """The rows of the set, with a share of each earlier stage mixed in evenly; each stage draws other rows."""
    drawn = []
    for stage in stages[:-1]:
        earlier = _taken(order, keys, [stage], seed)
        draw = np.argsort(hashing.mixed(keys.key[earlier], "replay", stages[-1], *salt))
        drawn.append(earlier[draw[: round(order.replay * len(earlier))]])
    replayed = in_order(np.concatenate(drawn)) if drawn else rows[:0]
    codes = np.repeat([0, 1], [len(rows), len(replayed)])
    sizes = np.array([max(len(rows), 1), max(len(replayed), 1)])
    together: Indices = np.concatenate([rows, replayed])
    return together[merge.interleave(codes, sizes)]
