"""Any data set of captioned images or of problems, by the column mapping in the recipe.

It is a folder with data files (JSON lines, JSON, CSV, Parquet, Arrow), one such file, or a data set of the Hub. Images
are embedded, or files below `images`: a folder, an archive, or nothing, which means beside the data files.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Columns, SourceSection
from datagen.sources import hub
from datagen.sources.datasets.mapped_answers import Answers, may_be_letters
from datagen.sources.formats import archives, image_folder
from datagen.sources.formats.record import Keys, Reading, Record
from datagen.sources.formats.records import READERS, find_files, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.options import answer_keys
from datagen.sources.source import Caption, Problem, Source

ALL_FILES = tuple(f"**/*{ending}" for ending in READERS)


def captions(section: SourceSection, place: Place) -> Source[Caption]:
    """A `captions` source.

    Raises:
        SourceError: its folder or files are not there.
    """
    columns = section.columns or Columns()
    image = _image(section, place, columns)

    def parse(record: Record) -> Caption:
        example = record.text(columns.id) if columns.id else str(record.number)
        caption = record.text(columns.caption)
        return Caption(caption, image(record), example, section.name or place.name, _license(section, columns, record))

    needed = tuple(filter(None, (columns.caption, columns.image, columns.id, columns.split, columns.license)))
    records = _records(section, place, columns, needed)
    return Source(records, parse, images(section, place), files=_whole_files(section, place))


def problems(
    section: SourceSection, place: Place, visual: bool, keys: answer_keys.Reading | None = None
) -> Source[Problem]:
    """A `problems` source with a column mapping; each has an image if they are `visual`.

    What its keys are is read off its rows, unless `keys` says it.

    Raises:
        SourceError: its folder or files are not there, or its keys can be read in several ways.
    """
    columns = section.columns or Columns()
    named = (columns.problem, columns.answer_column, columns.skill, columns.split, columns.license)
    needed = tuple(filter(None, (*named, *columns.option_columns, columns.image if visual else "")))
    records = _records(section, place, columns, needed)
    answers = Answers.of(section, columns, records) if keys is None else Answers(columns, keys)
    image = _image(section, place, columns)

    def parse(record: Record) -> Problem:
        texts, answer = answers.read(record)
        return Problem(
            problem=record.text(columns.problem),
            answer=answer,
            options=texts,
            options_in_text=may_be_letters(columns),
            kind=columns.answer_kind,
            skill=record.text(columns.skill) if columns.skill else "unknown",
            image=image(record) if visual else None,
            source=section.name or place.name,
            license=_license(section, columns, record),
        )

    found = images(section, place) if visual else None
    return Source(records, parse, found, str(answers.convention), _whole_files(section, place))


def _license(section: SourceSection, columns: Columns, record: Record) -> str:
    return record.text(columns.license) if columns.license else section.row_license


def _records(
    section: SourceSection, place: Place, columns: Columns, needed: tuple[str, ...]
) -> Callable[[], Iterator[Record]]:
    if section.repo:
        splits = section.selected_splits or ("train",)
        return lambda: hub.rows(section, Reading.of(section, place.name, needed), splits)
    files = data_files(section, place)
    base, wanted = _base(place), section.selected_splits
    by_name = bool(wanted) and not columns.split
    by_file = {file: image_folder.split_of(file, base, wanted) if by_name else "" for file in files}
    if by_name:
        image_folder.check_named(by_file.values(), wanted, place.folder)

    def records() -> Iterator[Record]:
        keys = Keys(place.name)
        for file in files:
            found = _of_file(file, base, columns.image, replace(Reading.of(section, place.name, needed), keys=keys))
            yield from image_folder.in_splits(found, by_file[file], wanted) if by_name else found

    return lambda: in_splits(records(), section, columns.split)


def _of_file(file: Path, base: Path, image: str, reading: Reading) -> Iterator[Record]:
    """The rows of one data file, each with the folder below `base` that it lies in."""
    folder = file.parent.relative_to(base).as_posix() if file.parent.is_relative_to(base) else "."
    metadata = file.stem == "metadata"  # of an imagefolder
    if metadata:
        # Its images stand in `file_name`, whatever column the recipe looks for them in.
        reading = replace(reading, needed=tuple(column for column in reading.needed if column != image))
    for record in read_files([file], reading):
        found = image_folder.renamed(record, image) if metadata else record
        yield replace(found, folder=folder) if folder != "." else found


def _image(section: SourceSection, place: Place, columns: Columns) -> Callable[[Record], object]:
    """What a row says of its image; a file's name, if images lie beside the data, from the source on."""
    if section.images or section.repo:
        return lambda record: record.get(columns.image)
    base = _base(place)
    return lambda record: image_folder.beside(base, record, record.get(columns.image))


def _base(place: Place) -> Path:
    return place.folder.parent if place.folder.is_file() else place.folder


def data_files(section: SourceSection, place: Place) -> list[Path]:
    """The data files of a source on disk.

    Raises:
        SourceError: there are none.
    """
    if place.folder.is_file():
        return [place.folder]
    return find_files(place.folder, section.files or ALL_FILES, "data files; name them in the recipe's files")


def _whole_files(section: SourceSection, place: Place) -> list[Path]:
    """The files on disk of which every row is taken."""
    return [] if section.repo or section.selected_splits else data_files(section, place)


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


def images(section: SourceSection, place: Place) -> SourceImages:
    """Where the images of a mapped source are.

    Raises:
        SourceError: `images` names nothing below the source.
    """
    base = _base(place)
    if section.repo:
        return SourceImages(section, place.store)
    target = base / section.images
    if not target.resolve().is_relative_to(base.resolve()):
        raise SourceError(f"images: {section.images!r} leads out of {base}; name a folder or archive below it.")
    if target.is_file() and archives.is_archive(target):
        return SourceImages(section, place.store, bundles=(target,))
    if not target.is_dir():
        raise SourceError(f"There is no folder and no archive {target}; check the recipe's images.")
    return SourceImages(section, place.store, folders=((target, place.inside(target)),))
