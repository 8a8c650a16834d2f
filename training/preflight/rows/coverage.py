"""Rows of a set that a training never reaches, and the precision of its validation accuracy.

verl 0.9.1 drops the last incomplete batch of every pass (`drop_last=True` in `trainer/ppo/v1/trainer_base.py` and
`trainer/sft_trainer.py`). GRPO reads rows in order unless the knob `shuffle` is set; the supervised trainer shuffles.
"""

from capcurriculum.ledger.flat_rates import share

#: Largest accepted half-width in points; checkpoints of a stage differ by less.
LIMIT = 5.0
_Z = 1.96


def unused(numbers: tuple[int, int, int], *, drawn: bool, epochs: int = 1) -> str:
    """A text on the rows that no batch of a link contains, without a full stop; "" if there are none.

    Args:
        numbers: rows per pass over the files, rows per batch, and total steps.
        drawn: whether each pass shuffles the rows.
        epochs: how many epochs one pass over the files contains.
    """
    rows, batch, steps = numbers
    steps_per_pass = rows // batch
    left = rows - min(steps, steps_per_pass) * batch
    if not left:
        return ""
    what = "rows" if epochs == 1 else f"readings (each row once in {epochs} epochs)"
    count = f"{left:,} of {rows:,} {what} ({share(left, rows)})"
    why = f"the trainer drops a last batch of fewer than {batch:,}"
    if steps < steps_per_pass:
        why = f"{steps:,} steps of {batch:,} rows end before the set does"
    if not drawn:
        return f"{count}, the last in their order, are never trained on: {why}"
    if steps <= steps_per_pass:
        return f"{count}, whichever the seed draws last, are never trained on: {why}"
    return f"up to {count} are never trained on: {why} in every epoch, of other rows each time"


def half_width(rows: int) -> float:
    """Half-width of the 95 % interval of an accuracy of 50 % over `rows` rows, in points (normal approximation).

    Several replies per row do not reduce the spread between rows, so they are not counted.
    """
    return float(100 * _Z * 0.5 / max(rows, 1) ** 0.5)


def unsure(rows: int, *, selects: bool) -> str:
    """A text on the imprecision of an accuracy on so few validation rows, without a full stop; "" if they are enough.

    Args:
        rows: the stage's validation rows.
        selects: whether they select the checkpoint.
    """
    if (width := half_width(rows)) <= LIMIT:
        return ""
    what = f"an accuracy on {rows:,} validation rows is known to {width:.0f} points up or down"
    enough = f"{(100 * _Z * 0.5 / LIMIT) ** 2:,.0f} rows would know it to {LIMIT:.0f}"
    if selects:
        return f"{what}, so the best step is half chosen by chance: {enough} (split.val), or select: last"
    return f"{what}; choose no checkpoint by it: {enough} (split.val)"
