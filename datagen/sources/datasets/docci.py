"""DOCCI in the layouts it is found in (Onoe et al. 2024).

As released, `docci_descriptions.jsonlines` (example_id, split, image_file, description) lies beside a folder of images;
`google/docci` on the Hub has one CSV a split and an archive of images, and its mirrors have Parquet files with the
images inside. Only the selected splits are read, by default `train`; every other line is a verdict. A line that cannot
be used becomes a verdict with its reason and the rest goes on.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import KINDS, SourceSection
from capcurriculum.rows import CaptionedImage, Verdict
from datagen import images, shown
from datagen.sources import hub
from datagen.sources.captioned import Caption, CaptionSource
from datagen.sources.datasets.mapped import in_splits
from datagen.sources.formats import file_names
from datagen.sources.formats.json_lines import Line, LineProblem, of_row, read_lines, short, whole
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import find_files, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.images import Pictures

DESCRIPTIONS = "docci_descriptions.jsonlines"
FOLDERS = ("images", "images_downsampled_2x")
ARCHIVES = ("docci_images.tar.gz", "images.tar.gz", "data_docci_images.tar.gz")


def read_docci(
    section: SourceSection, folder: Path, stage: str, known: Collection[str]
) -> Iterator[CaptionedImage | Verdict]:
    """Rows of `stage`, and verdicts on lines that gave none.

    `known` holds the line keys and caption ids of an earlier session of the run; those lines are skipped.

    Raises:
        SourceError: the folder does not have DOCCI's layout.
    """
    pictures = image_folder(folder)
    source = section.source or "DOCCI"
    example_ids: set[str] = set()
    captions: set[str] = set()
    for line, unselected in lines(section, folder):
        try:
            if unselected:
                raise unselected
            fields = line.fields()
            example_id = line.string(fields, "example_id")
            if example_id in example_ids:
                raise LineProblem(Reason.DUPLICATE_ID, f"line {line.number} repeats the example_id {example_id!r}")
            example_ids.add(example_id)
            if line.key in known:
                continue
            with of_row(line.number):
                row = whole(_row(section, source, pictures, stage, line, fields, example_id), line.number)
            if row.caption_id in captions or row.caption_id in known:
                raise LineProblem(Reason.DUPLICATE_ROW, f"line {line.number} repeats an image and its caption")
            captions.add(row.caption_id)
            yield row
        except (LineProblem, images.ImageProblem) as problem:
            if line.key not in known:
                yield Verdict(line.key, stage, "source", False, problem.reason, problem.detail)


def lines(section: SourceSection, folder: Path) -> Iterator[tuple[Line, LineProblem | None]]:
    """The lines of the release, the first `limit` of the selected splits, and why a line is of none.

    The embedded world has no splits to select from.
    """
    taken = 0
    found = read_lines(folder / DESCRIPTIONS, section.source or "DOCCI", most=section.limits.line)
    for line in found:
        unselected = _unselected(section, line) if section.kind == "docci" else None
        if unselected is None and taken == section.limit:
            return
        taken += unselected is None
        yield line, unselected


def _unselected(section: SourceSection, line: Line) -> LineProblem | None:
    try:
        split = line.string(line.fields(), "split")
    except LineProblem:
        return None  # a line that cannot be read is told of as what it is
    if not split or split in section.selected_splits:
        return None
    return LineProblem(Reason.UNSELECTED_SPLIT, f"line {line.number} is of the split {split!r}")


def image_folder(folder: Path) -> Path:
    """Where the release in `folder` has its images.

    Raises:
        SourceError: nowhere.
    """
    found = next((folder / name for name in FOLDERS if (folder / name).is_dir()), None)
    if found is None:
        raise SourceError(f"The DOCCI folder {folder} has neither {' nor '.join(FOLDERS)}; unpack the images there.")
    return found


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


def source(section: SourceSection, place: Place) -> CaptionSource:
    """Every layout but the unpacked release.

    Raises:
        SourceError: the folder has none of the layouts.
    """
    folder = place.folder
    bundles = tuple(folder / name for name in ARCHIVES if (folder / name).is_file())
    plain = tuple((folder / name, place.inside(folder / name)) for name in FOLDERS if (folder / name).is_dir())
    if (folder / DESCRIPTIONS).is_file():
        files, column = [folder / DESCRIPTIONS], "split"
    else:
        files, column = find_files(folder, by_split(section), "DOCCI's descriptions"), ""

    def records() -> Iterator[Record]:
        return in_splits(
            read_files(files, Reading.of(section, place.name, ("example_id", "description"))),
            section,
            column,
        )

    return CaptionSource(records, lambda record: _said(section, record), Pictures(section, place.store, plain, bundles))


def _said(section: SourceSection, record: Record) -> Caption:
    example_id = record.text("example_id")
    image = record.get("image_file") or record.get("image") or f"{example_id}.jpg"
    return Caption(record.text("description"), image, example_id, section.name, section.row_license)


def folder_of(section: SourceSection) -> Path:
    """The folder of a DOCCI source, fetched from the Hub if the recipe names a repo."""
    return hub.folder(section, patterns(section))


def _row(
    section: SourceSection,
    source: str,
    folder: Path,
    stage: str,
    line: Line,
    fields: dict[str, object],
    example_id: str,
) -> CaptionedImage:
    caption = line.string(fields, "description")
    short(caption, section.limits.caption, line.number, "caption")
    caption = neutral(caption)
    if not caption:
        raise LineProblem(Reason.EMPTY_CAPTION, f"line {line.number} has an empty description")
    path, name = file_names.inside(folder, line.string(fields, "image_file"))
    image_id = shown.checked(images.file_bytes(path), section.max_pixels).image_id
    return CaptionedImage(
        caption_id=CaptionedImage.key(image_id, caption, stage),
        row_key=line.key,
        image_id=image_id,
        image_path=f"{folder.name}/{name}",
        caption=caption,
        source=source,
        license=KINDS["docci"].license if section.license == "unknown" else section.license,
        example_id=example_id,
        stage=stage,
    )
