"""Rows that no batch of a link reaches, by the plan's own numbers.

verl 0.9.1 drops the last incomplete batch of every pass over a set, in `trainer/ppo/v1/trainer_base.py` and in
`trainer/sft_trainer.py` (`drop_last=True`). GRPO reads rows in their order, so these are the same in every pass, unless
the knob `shuffle` draws them anew; the supervised trainer always does. A test holds this against the installed verl.
"""

from collections.abc import Sequence
from pathlib import Path

from capcurriculum.ledger.flat_rates import share


def sentence(numbers: tuple[int, int, int], *, drawn: bool, epochs: int = 1) -> str:
    """What is left out, without a full stop; "" if every row is trained on.

    Args:
        numbers: rows of one pass over the files, rows a batch, and steps in all.
        drawn: whether each pass draws the rows anew.
        epochs: how many of them one pass has files for; every row is in each.
    """
    rows, batch, steps = numbers
    a_pass = rows // batch
    left = rows - min(steps, a_pass) * batch
    if not left:
        return ""
    what = "rows" if epochs == 1 else f"readings (each row once in {epochs} epochs)"
    count = f"{left:,} of {rows:,} {what} ({share(left, rows)})"
    why = f"the trainer drops a last batch of fewer than {batch:,}"
    if steps < a_pass:
        why = f"{steps:,} steps of {batch:,} rows end before the set does"
    if not drawn:
        return f"{count}, the last in their order, are never trained on: {why}"
    if steps <= a_pass:
        return f"{count}, whichever the seed draws last, are never trained on: {why}"
    return f"up to {count} are never trained on: {why} in every epoch, of other rows each time"


def epochs_of(paths: Sequence[Path]) -> int:
    """How many epochs these training files of a set are for: each has a folder of its own."""
    return len({path.parent for path in paths})
