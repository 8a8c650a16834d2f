"""Any data set of captioned images or of problems, by the column mapping in the recipe.

It is a folder with data files (JSON lines, JSON, CSV, Parquet, Arrow), one such file, or a data set of the Hub. Images
are embedded, or files below `images`: a folder, an archive, or nothing, which means beside the data files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe_sources import Columns, SourceSection
from datagen.sources import archives, choices, hub
from datagen.sources.captioned import Caption, CaptionSource
from datagen.sources.pictures import Pictures
from datagen.sources.place import Place
from datagen.sources.questions import Problem, ProblemSource
from datagen.sources.records import READERS, Keys, Record, find_files, read_files

SPLIT = "(split)"
ALL_FILES = tuple(f"**/*{ending}" for ending in READERS)


def captions(section: SourceSection, place: Place) -> CaptionSource:
    """A `captions` source.

    Raises:
        SourceError: its folder or files are not there.
    """
    columns = section.columns or Columns()

    def parse(record: Record) -> Caption:
        example = record.text(columns.id) if columns.id else str(record.number)
        caption, image = record.text(columns.caption), record.get(columns.image)
        return Caption(caption, image, example, section.name or place.name, _license(section, columns, record))

    needed = tuple(filter(None, (columns.caption, columns.image, columns.id, columns.split, columns.license)))
    return CaptionSource(_records(section, place, columns, needed), parse, pictures(section, place))


def problems(section: SourceSection, place: Place, visual: bool) -> ProblemSource:
    """A `problems` source with a column mapping; each has an image if they are `visual`.

    Raises:
        SourceError: its folder or files are not there.
    """
    columns = section.columns or Columns()

    def parse(record: Record) -> Problem:
        options = record.texts(columns.options) if columns.options else ()
        return Problem(
            problem=record.text(columns.problem),
            answer=_answer(record, columns, options),
            options=options,
            kind=columns.answer_kind,
            skill=record.text(columns.skill) if columns.skill else "unknown",
            image=record.get(columns.image) if visual else None,
            source=section.name or place.name,
            license=_license(section, columns, record),
        )

    named = (columns.problem, columns.answer_column, columns.options, columns.skill, columns.split, columns.license)
    needed = tuple(filter(None, (*named, columns.image if visual else "")))
    records = _records(section, place, columns, needed)
    return ProblemSource(records, parse, pictures(section, place) if visual else None)


def _answer(record: Record, columns: Columns, options: tuple[str, ...]) -> str:
    """The answer; beside options a whole number is the place of the right one, counted from 0."""
    value = record.get(columns.answer_column)
    if options and isinstance(value, int) and not isinstance(value, bool) and str(value) not in options:
        return options[value] if 0 <= value < len(options) else str(value)
    said, mark = record.text(columns.answer_column), columns.gold.after
    return choices.final_answer(said, mark, record.number) if mark else said


def _license(section: SourceSection, columns: Columns, record: Record) -> str:
    return record.text(columns.license) if columns.license else section.row_license


def _records(
    section: SourceSection, place: Place, columns: Columns, needed: tuple[str, ...]
) -> Callable[[], Iterator[Record]]:
    if section.repo:
        splits = section.selected_splits or ("train",)
        return lambda: hub.rows(section, Keys(place.name), needed, splits)
    files = data_files(section, place)
    return lambda: in_splits(read_files(files, Keys(place.name), needed), section, columns.split)


def data_files(section: SourceSection, place: Place) -> list[Path]:
    """The data files of a source on disk.

    Raises:
        SourceError: there are none.
    """
    if place.folder.is_file():
        return [place.folder]
    return find_files(place.folder, section.files or ALL_FILES, "data files; name them in the recipe's files")


def in_splits(records: Iterator[Record], section: SourceSection, column: str) -> Iterator[Record]:
    """The records, those of unselected splits refused; all as they are when no split is selected."""
    wanted = section.selected_splits
    for record in records:
        if not wanted or not column or record.problem:
            yield record
            continue
        split = record.get(column)
        if isinstance(split, str) and split in wanted:
            yield record
        elif isinstance(split, str):
            yield record.refused(Reason.UNSELECTED_SPLIT, f"row {record.number} is of the split {split!r}")
        else:
            yield record.refused(Reason.MISSING_FIELD, f"row {record.number} has no text in {column!r}")


def pictures(section: SourceSection, place: Place) -> Pictures:
    """Where the images of a mapped source are.

    Raises:
        SourceError: `images` names nothing below the source.
    """
    base = place.folder.parent if place.folder.is_file() else place.folder
    if section.repo:
        return Pictures(section, place.store)
    target = base / section.images
    if not target.resolve().is_relative_to(base.resolve()):
        raise SourceError(f"images: {section.images!r} leads out of {base}; name a folder or archive below it.")
    if target.is_file() and archives.is_archive(target):
        return Pictures(section, place.store, bundles=(target,))
    if not target.is_dir():
        raise SourceError(f"There is no folder and no archive {target}; check the recipe's images.")
    return Pictures(section, place.store, folders=((target, place.inside(target)),))
