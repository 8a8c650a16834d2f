"""The arms of the comparison: the same rows in five orders, made by the orders of the tool itself."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import polars as pl

from benchmarks.curricula_rows import STAGES, Task
from capcurriculum.recipe.curriculum import OrderSection
from curricula import hashing
from curricula.keys import Keys, Labels
from curricula.order import arrange

REFERENCE, STAGED = "merged", "staged 1-2-3"
#: Name -> order. A staged order is a chain: each stage begins with a fresh optimiser, and its KL is
#: measured from there.
ARMS: Mapping[str, OrderSection] = MappingProxyType(
    {
        STAGED: OrderSection(order="capability", stages=("perception", "text", "visual")),
        REFERENCE: OrderSection(order="merged"),
        "staged 3-2-1": OrderSection(order="capability", stages=("visual", "text", "perception")),
        "difficulty": OrderSection(order="difficulty"),
        "capability x difficulty": OrderSection(
            order="capability_x_difficulty", stages=("perception", "text", "visual")
        ),
    }
)

#: What shows whether the versions of the visual stage are what they are meant to be; no arm of the comparison.
FIRST = "stage 1 alone"
_ORDERS: Mapping[str, OrderSection] = MappingProxyType(
    {**ARMS, FIRST: OrderSection(order="capability", stages=("perception",))}
)


def sets(
    arm: str, tasks: Mapping[str, Sequence[Task]], rates: Mapping[str, tuple[int, int]], seed: int
) -> list[list[Task]]:
    """The rows of an arm as sets that are taught one after the other, each row of its stages once.

    Args:
        arm: one of `ARMS`, or `FIRST`.
        tasks: stage -> rows.
        rates: name of a row -> right and readable replies of the start; a row that none could be read of counts as the
            hardest.
        seed: another seed shuffles otherwise.
    """
    every = [task for stage in STAGES for task in tasks[stage]]
    counts = [rates[task.name] for task in every]
    none, same = np.zeros(len(every), dtype=np.int64), Labels.of(pl.Series([""] * len(every)))
    keys = Keys(
        taught=STAGES,
        key=hashing.text_keys(pl.Series([task.name for task in every])).to_numpy(),
        stage=np.array([STAGES.index(task.stage) for task in every]),
        split=none,
        k=np.array([right for right, _ in counts]),
        n=np.array([max(readable, 1) for _, readable in counts]),
        unreadable=none,
        failed=none,
        source=same,
        skill=same,
        unit=hashing.text_keys(pl.Series([task.name for task in every])).to_numpy(),
    )
    return [[every[place] for place in one.rows[0]] for one in arrange(_ORDERS[arm], keys, seed)]
