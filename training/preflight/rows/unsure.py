"""How little a stage's validation rows can tell, where they are too few to choose a checkpoint by."""

#: Points by which an accuracy may be off, at most, before it is said: more than checkpoints of a stage differ by.
LIMIT = 5.0
_Z = 1.96


def half_width(rows: int) -> float:
    """Half of the 95 % interval of an accuracy over `rows` rows, in points, where it is widest: at one half.

    Several replies to a row make it no narrower than the rows' own spread, so they are not counted.
    """
    return float(100 * _Z * 0.5 / max(rows, 1) ** 0.5)


def sentence(rows: int, *, selects: bool) -> str:
    """What is said of so many validation rows, without a full stop; "" if they are enough.

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
