"""DOCCI in the layouts it is found in (Onoe et al. 2024).

As released, `docci_descriptions.jsonlines` (example_id, split, image_file, description) lies beside a folder of images;
`google/docci` on the Hub has one CSV a split and an archive of images, and its mirrors have Parquet files with the
images inside. Only the selected splits are read, by default `train`; every other line is a verdict. A line that cannot
be used becomes a verdict with its reason and the rest goes on.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import KINDS, SourceSection
from datagen.sources.datasets.mapped import in_splits
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import find_files, line_records, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.source import Caption, Source, of_files

DESCRIPTIONS = "docci_descriptions.jsonlines"
FOLDERS = ("images", "images_downsampled_2x")
_NEEDED = ("example_id", "description")
ARCHIVES = ("docci_images.tar.gz", "images.tar.gz", "data_docci_images.tar.gz")


def is_release(folder: Path) -> bool:
    """Whether a folder is the release with its images unpacked, or looks like nothing else."""
    if any((folder / name).is_dir() for name in FOLDERS):
        return True
    return not any((folder / name).is_file() for name in ARCHIVES) and next(folder.glob("**/*.parquet"), None) is None


def patterns(section: SourceSection) -> tuple[str, ...]:
    """The files of a Hub data set that the selected splits need."""
    return (DESCRIPTIONS, *by_split(section), *ARCHIVES)


def by_split(section: SourceSection) -> tuple[str, ...]:
    """The files of rows, where each is of one split."""
    splits = section.selected_splits
    return section.files or tuple(p for split in splits for p in (f"{split}.csv", f"**/{split}-*.parquet"))


def source(section: SourceSection, place: Place) -> Source[Caption]:
    """The captions, in whichever layout lies there.

    Raises:
        SourceError: the folder has none of the layouts.
    """
    unpacked = is_release(place.folder)
    images = _images(section, place, unpacked)
    if not unpacked and not (place.folder / DESCRIPTIONS).is_file():
        files = find_files(place.folder, by_split(section), "DOCCI's descriptions")
        return of_files(files, _NEEDED, section, place, _caption, images)
    return Source(partial(_released if unpacked else _packed, section, place), partial(_caption, section), images)


def _name(section: SourceSection) -> str:
    """What rows say as their source; also of the embedded world, which has the layout of the release."""
    return section.source or KINDS["docci"].name


def _released(section: SourceSection, place: Place) -> Iterator[Record]:
    """The lines of the release: those of other splits, and those that repeat an example_id, are refused."""
    example_ids, wanted = set[str](), section.selected_splits
    for record in line_records(place.folder / DESCRIPTIONS, _name(section), section.limits.line):
        split, example_id = record.get("split"), record.get("example_id")
        if wanted and isinstance(split, str) and split and split not in wanted:
            yield record.refused(Reason.UNSELECTED_SPLIT, f"row {record.number} is of the split {split!r}")
        elif isinstance(example_id, str) and example_id in example_ids:
            yield record.refused(Reason.DUPLICATE_ID, f"row {record.number} repeats the example_id {example_id!r}")
        else:
            yield record
            example_ids |= {example_id} if isinstance(example_id, str) else set()


def _packed(section: SourceSection, place: Place) -> Iterator[Record]:
    """The lines beside an archive of images."""
    found = read_files([place.folder / DESCRIPTIONS], Reading.of(section, place.name, _NEEDED))
    return in_splits(found, section, "split")


def _images(section: SourceSection, place: Place, unpacked: bool) -> SourceImages:
    folders = [place.folder / name for name in FOLDERS if (place.folder / name).is_dir()]
    bundles = [place.folder / name for name in ARCHIVES if (place.folder / name).is_file()]
    if unpacked and not folders:
        raise SourceError(
            f"The DOCCI folder {place.folder} has neither {' nor '.join(FOLDERS)}; unpack the images there."
        )
    if unpacked:
        folders, bundles = folders[:1], []
    return SourceImages(section, place.store, [(folder, place.inside(folder)) for folder in folders], bundles)


def _caption(section: SourceSection, record: Record) -> Caption:
    example_id = record.text("example_id")
    image = record.get("image_file") or record.get("image") or f"{example_id}.jpg"
    return Caption(record.text("description"), image, example_id, _name(section), section.row_license)
