"""CLEVR-Math as its repository lays it out (Dahlgren Lindström and Abraham 2022).

`data/clevr-math.zip` (or `-multihop.zip`) holds one `clevr-math-<split>.json` a split, `{"questions": [...]}` with
question, answer, image_filename, split and template_filename; the images are CLEVR's own `CLEVR_v1.0.zip`, those of
the test split `clevr-math-test-images.zip`, both with members `CLEVR_v1.0/images/<split>/<image_filename>`.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats import json_documents
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import find_files, require
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.source import Problem, Source

QUESTIONS = {"general": "clevr-math.zip", "multihop": "clevr-math-multihop.zip"}
IMAGES, TEST_IMAGES = "CLEVR_v1.0.zip", "clevr-math-test-images.zip"
COLUMNS = ("question", "answer", "image_filename", "split")


def patterns(section: SourceSection) -> tuple[str, ...]:
    """The files of the Hub data set that the selected splits need."""
    images = {TEST_IMAGES if split == "test" else IMAGES for split in section.selected_splits}
    return tuple(f"data/{name}" for name in sorted({_questions(section), *images}))


def _questions(section: SourceSection) -> str:
    config = section.config or "general"
    if config not in QUESTIONS:
        raise SourceError(f"CLEVR-Math has no config {config!r}; it has {', '.join(QUESTIONS)}.")
    return QUESTIONS[config]


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The questions of the selected splits.

    Raises:
        SourceError: the questions or the images are not there.
    """
    bases = [base for base in (place.folder, place.folder / "data") if base.is_dir()]
    folders = [(base, place.inside(base)) for base in bases if (base / "CLEVR_v1.0").is_dir()]
    bundles = [path for base in bases for name in (IMAGES, TEST_IMAGES) if (path := base / name).is_file()]
    if not folders and not bundles:
        raise SourceError(
            f"{place.folder} has no CLEVR images: neither {IMAGES} nor a folder CLEVR_v1.0; put one there."
        )

    def records() -> Iterator[Record]:
        reading = Reading.of(section, place.name)
        for split in section.selected_splits:
            yield from _of_split(section, place.folder, split, reading)

    images = SourceImages(section, place.store, folders, bundles)
    return Source(records, lambda record: _problem(section, record), images)


def _of_split(section: SourceSection, folder: Path, split: str, reading: Reading) -> Iterator[Record]:
    name = f"clevr-math-{split}.json"
    unpacked = sorted(folder.glob(f"**/{name}"))
    if unpacked:
        with unpacked[0].open("rb") as handle:
            yield from _checked(handle, str(unpacked[0]), reading, str(unpacked[0]))
        return
    bundle = find_files(folder, (_questions(section), f"data/{_questions(section)}"), f"or an unpacked {name}")[0]
    try:
        with zipfile.ZipFile(bundle) as archive:
            member = next((m for m in archive.namelist() if m.rsplit("/", 1)[-1] == name), None)
            if member is None:
                raise SourceError(f"{bundle} has no {name}; it has {', '.join(archive.namelist()[:8])}.")
            with archive.open(member) as handle:
                yield from _checked(handle, f"{bundle}/{name}", reading, str(bundle))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"The archive {bundle} cannot be read ({error}); download it again.") from error


def _checked(handle: IO[bytes], name: str, reading: Reading, where: str) -> Iterator[Record]:
    for record in json_documents.stream(handle, name, reading, "questions.item"):
        if record.number == 1:
            require(COLUMNS, [record.values], where)
        yield record


def _problem(section: SourceSection, record: Record) -> Problem:
    image = f"CLEVR_v1.0/images/{record.text('split')}/{record.text('image_filename')}"
    template = record.get("template_filename")
    return Problem(
        problem=record.text("question"),
        answer=record.text("answer"),
        options_in_text=False,
        skill=template.removesuffix(".json") if isinstance(template, str) else "clevr_math",
        image=image,
        source=section.name,
        license=section.row_license,
    )
