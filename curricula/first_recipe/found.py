"""What `init` says of the data: rows, columns, images, lengths and keys, in lines to read."""

from collections.abc import Iterator

from capcurriculum.rows import Stage
from curricula.first_recipe.data import Data, Read
from datagen.sources.discover.sample import Sample

_COLUMNS = ("image", "caption", "problem", "options", "answer", "skill", "license", "split", "id")
_SHOWN = 12


def lines(data: str, found: Data) -> Iterator[str]:
    """All of it, source by source."""
    for one in found.read:
        name = one.name(data) if len(found.read) > 1 else data
        yield f"{name}: {one.candidate.form}, for the {one.candidate.stage} stage"
        for name, text in _facts(one):
            yield f"  {name:<9} {text}"
    yield from found.remarks


def _facts(one: Read) -> Iterator[tuple[str, str]]:
    taken, section = one.sample, one.candidate.section
    yield "rows", _rows(taken, selected=bool(section.splits))
    if taken.others.lost:
        yield "lost", f"{taken.others}"
    if one.candidate.stage is not Stage.TEXT:
        yield "images", _images(taken)
    if columns := section.columns:
        named = {key: value for key in _COLUMNS if (value := getattr(columns, key)) and key in columns.model_fields_set}
        yield "columns", ", ".join(f"{key}={_text(value)}" for key, value in named.items())
        if one.candidate.others:
            yield "unused", ", ".join(one.candidate.others[:_SHOWN])
    if taken.lengths:
        what = "captions" if one.candidate.stage is Stage.PERCEPTION else "problems"
        least, median, most = taken.lengths
        yield what, f"{least:,} to {most:,} characters, median {median:,}"
    if taken.kinds:
        yield "answers", ", ".join(f"{count:,} {kind}" for kind, count in taken.kinds.most_common())
    if "choice" in taken.kinds and columns:
        yield "keys", taken.convention or "letters or texts of options"
    if section.splits:
        yield "split", f"{', '.join(section.splits)} alone; what is for testing stays out"
    if one.also:
        yield "also", f"rows for the stage {' and '.join(one.also)}: --stage {one.also[0]}"


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _rows(taken: Sample, *, selected: bool) -> str:
    repeated = "" if selected or not taken.losses.passed_over else f"; {taken.losses.passed_over:,} repeat others"
    if taken.read >= taken.total:
        return f"{taken.total:,}; {taken.losses.kept:,} of them can be used{repeated}"
    return f"{taken.total:,}; {taken.losses.kept:,} of the first {taken.read:,} can be used{repeated}"


def _images(taken: Sample) -> str:
    closed = taken.closed
    looked = taken.losses.kept + closed.lost.total()
    said = f"{taken.losses.kept:,} of {looked:,} open"
    return f"{said}; the others: {closed}" if closed.lost else said
