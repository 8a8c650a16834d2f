"""The check that every gold answer of an environment earns the whole reward. Asks no model."""

from collections.abc import Sequence
from pathlib import Path

from capcurriculum.did_you_mean import meant
from capcurriculum.engines import rows, scoring, source
from capcurriculum.engines.source import Selection, Source, Split
from capcurriculum.errors import RunError

SPLITS: tuple[Split, ...] = ("train", "val", "test")
#: Rows named in an error.
_SHOWN = 3


def validate(folder: Path, stages: Sequence[str] = (), splits: Sequence[Split] = ()) -> int:
    """Check the gold answers of an environment's folder; returns the number of rows.

    Raises:
        CapCurriculumError: it is no environment, its data cannot be read, or a gold answer does not score 1.0.
    """
    found = described(folder)
    if len(found) != 1:
        raise RunError(f"{folder} is no environment; name a folder that `capcurriculum environment` wrote.")
    return checked(source.read(found[0]), stages, splits)


def checked(data: Source, stages: Sequence[str] = (), splits: Sequence[Split] = ()) -> int:
    """The number of rows, after a check that the gold answer of each scores 1.0; of all stages and splits by default.

    Raises:
        RunError: one does not.
    """
    known = [stage.name for stage in data.stages]
    if odd := [name for name in stages if name not in known]:
        raise RunError(f"There is no stage {odd[0]}{meant(odd[0], known)}; the stages are {', '.join(known)}.")
    chosen = [stage for stage in data.stages if not stages or stage.name in stages]
    there = [split for split in splits or SPLITS if any(stage.files.get(split) for stage in chosen)]
    number, refused = 0, list[scoring.Refused]()
    for split in there:
        some, bad = scoring.validate(rows.rows(data, Selection([stage.name for stage in chosen], split)))
        number, refused = number + some, refused + bad
    if refused:
        shown = " ".join(f"{one.key} of {one.stage}, {one.gold[:40]!r}: {one.why}" for one in refused[:_SHOWN])
        raise RunError(
            f"{len(refused):,} of {number:,} gold answers do not score 1.0; correct them (`capcurriculum review`) or "
            f"drop their rows. {shown}"
        )
    return number


def described(folder: Path) -> list[Path]:
    """The descriptions of data in an environment's folder: one, unless it is none."""
    return sorted(folder.glob(f"*/{source.NAME}"))
