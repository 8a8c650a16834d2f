"""How much of a set a training reaches, by the plan's own numbers, and how little its validation rows can tell.

verl 0.9.1 drops the last incomplete batch of every pass over a set, in `trainer/ppo/v1/trainer_base.py` and in
`trainer/sft_trainer.py` (`drop_last=True`). GRPO reads rows in their order, so these are the same in every pass, unless
the knob `shuffle` draws them anew; the supervised trainer always does. A test holds this against the installed verl.
"""

from collections.abc import Sequence
from pathlib import Path

from capcurriculum.ledger.flat_rates import share

#: Points by which an accuracy may be off, at most, before it is said: more than checkpoints of a stage differ by.
LIMIT = 5.0
_Z = 1.96


def unused(numbers: tuple[int, int, int], *, drawn: bool, epochs: int = 1) -> str:
    """The rows that no batch of a link reaches, without a full stop; "" if every row is trained on.

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


def half_width(rows: int) -> float:
    """Half of the 95 % interval of an accuracy over `rows` rows, in points, where it is widest: at one half.

    Several replies to a row make it no narrower than the rows' own spread, so they are not counted.
    """
    return float(100 * _Z * 0.5 / max(rows, 1) ** 0.5)


def unsure(rows: int, *, selects: bool) -> str:
    """What so few validation rows cannot tell, without a full stop; "" if they are enough.

    Args:
        rows: validation rows of the stage's own.
        selects: whether the checkpoint that goes on is chosen by them.
    """
    if (width := half_width(rows)) <= LIMIT:
        return ""
    what = f"an accuracy on {rows:,} validation rows is known to {width:.0f} points up or down"
    enough = f"{(100 * _Z * 0.5 / LIMIT) ** 2:,.0f} rows would know it to {LIMIT:.0f}"
    if selects:
        return f"{what}, so the best step is half chosen by chance: {enough} (split.val), or select: last"
    return f"{what}; choose no checkpoint by it: {enough} (split.val)"
