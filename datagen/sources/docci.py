"""DOCCI as it is released: `docci_descriptions.jsonlines` beside a folder of images.

Each line holds example_id, split, image_file and description (Onoe et al. 2024). A line that cannot be used becomes a
verdict with its reason and the rest goes on; keys already recorded are passed over without touching their image.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe import SourceSection
from capcurriculum.rows import CaptionedImage, Stage, Verdict, bytes_digest
from datagen import images
from datagen.sources.lines import Line, LineProblem, read_lines
from datagen.text import neutral

DESCRIPTIONS = "docci_descriptions.jsonlines"
FOLDERS = ("images", "images_downsampled_2x")
LICENSE = "cc-by-4.0"


def read_docci(section: SourceSection, folder: Path, known: Collection[str]) -> Iterator[CaptionedImage | Verdict]:
    """Rows, and verdicts on lines that gave none.

    `known` holds the line keys and caption ids of an earlier session of the run; those lines are skipped.

    Raises:
        SourceError: the folder does not have DOCCI's layout.
    """
    image_folder = next((folder / name for name in FOLDERS if (folder / name).is_dir()), None)
    if image_folder is None:
        raise SourceError(f"The DOCCI folder {folder} has neither {' nor '.join(FOLDERS)}; unpack the images there.")
    source = section.source or "DOCCI"
    example_ids: set[str] = set()
    captions: set[str] = set()
    for line in read_lines(folder / DESCRIPTIONS, source, section.limit):
        try:
            fields = line.fields()
            example_id = line.string(fields, "example_id")
            if example_id in example_ids:
                raise LineProblem(Reason.DUPLICATE_ID, f"line {line.number} repeats the example_id {example_id!r}")
            example_ids.add(example_id)
            if line.key in known:
                continue
            row = _row(section, source, image_folder, line, fields, example_id)
            if row.caption_id in captions or row.caption_id in known:
                raise LineProblem(Reason.DUPLICATE_ROW, f"line {line.number} repeats an image and its caption")
            captions.add(row.caption_id)
            yield row
        except (LineProblem, images.ImageProblem) as problem:
            if line.key not in known:
                yield Verdict(line.key, Stage.PERCEPTION, "source", False, problem.reason, problem.detail)


def _row(
    section: SourceSection, source: str, folder: Path, line: Line, fields: dict[str, object], example_id: str
) -> CaptionedImage:
    caption = neutral(line.string(fields, "description"))
    if not caption:
        raise LineProblem(Reason.EMPTY_CAPTION, f"line {line.number} has an empty description")
    name = line.string(fields, "image_file")
    image_id = bytes_digest(images.read(images.inside(folder, name), section.max_pixels).data)
    return CaptionedImage(
        caption_id=CaptionedImage.key(image_id, caption),
        row_key=line.key,
        image_id=image_id,
        image_path=f"{folder.name}/{name}",
        caption=caption,
        source=source,
        license=LICENSE if section.license == "unknown" else section.license,
        example_id=example_id,
    )
