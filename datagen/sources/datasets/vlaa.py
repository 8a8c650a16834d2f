"""VLAA-Thinking-GRPO-25K: one JSON array over nine sources, and one archive of images a source (Chen et al. 2025).

A row has id, image (`<part>/<file>`), question, gt and more that is not read here. The first folder of `image` is the
part, and the part's licence is the row's. Parts and their counts are chosen in the recipe; the default is the mix of
the paper. Rows that are not chosen are verdicts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats import archives
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import find_files, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.options import choices
from datagen.sources.source import Problem, Source

FILE = "VLAA-Thinking-GRPO-25K.json"
#: Part -> licence of its upstream. Open-ended parts have no gold answer that a grader could compare.
LICENSES: Mapping[str, str] = {
    "clevr_math": "cc-by-4.0",
    "geoqa170k": "unknown",
    "synthesis": "gpl-3.0",
    "arxivqa": "cc-by-sa-4.0",
    "docvqa": "apache-2.0",
}
#: The paper's visual stage: rows taken of each part. `docvqa: 1000` is the one its text names and its data leaves out.
DEFAULT_PARTS: Mapping[str, int] = {"clevr_math": 2000, "geoqa170k": 6499, "synthesis": 6696, "arxivqa": 1000}
#: Characters of an answer that stands alone.
_LONGEST = 60
_CHOICES = frozenset({"geoqa170k", "arxivqa"})


def patterns(section: SourceSection) -> tuple[str, ...]:
    """The files of the Hub data set that the chosen parts need."""
    return (FILE, *(f"images/{part}.tar.gz" for part in parts(section)))


def parts(section: SourceSection) -> Mapping[str, int | None]:
    """Part -> how many of its rows are taken, None for all.

    Raises:
        SourceError: the recipe names a part that has no gold answers or that it does not have.
    """
    chosen = section.parts or DEFAULT_PARTS
    unknown = sorted(set(chosen) - set(LICENSES))
    if unknown:
        raise SourceError(f"VLAA-Thinking has no part {', '.join(unknown)} to take; it has {', '.join(LICENSES)}.")
    return chosen


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The chosen parts.

    Raises:
        SourceError: the file is not there, or neither a folder nor an archive has a part's images.
    """
    chosen = parts(section)
    files = [place.folder] if place.folder.is_file() else find_files(place.folder, (FILE,), "its rows")
    folder = files[0].parent / "images"
    bundles = tuple(path for part in chosen if (path := _bundle(folder, part)) is not None)
    folders = ((folder, place.inside(folder)),) if folder.is_dir() else ()

    def records() -> Iterator[Record]:
        return _chosen(read_files(files, Reading.of(section, place.name, ("image", "question", "gt"))), chosen)

    images = SourceImages(section, place.store, folders, bundles)
    return Source(records, lambda record: _problem(section, record), images)


def _bundle(images: Path, part: str) -> Path | None:
    """The archive of a part; none is needed where its images were unpacked."""
    path = next((path for ending in archives.ENDINGS if (path := images / f"{part}{ending}").is_file()), None)
    if path is None and not (images / part).is_dir():
        raise SourceError(
            f"The images of the part {part} are missing: {images} has neither {part}.tar.gz nor a folder {part}; "
            "download them, or leave the part out."
        )
    return None if (images / part).is_dir() else path


def _chosen(records: Iterator[Record], chosen: Mapping[str, int | None]) -> Iterator[Record]:
    """The records, those of parts not chosen or beyond a part's count refused."""
    taken: Counter[str] = Counter()
    for record in records:
        part = part_of(record)
        limit = chosen.get(part, 0)
        taken[part] += 1
        if part not in chosen:
            yield record.refused(Reason.UNSELECTED_PART, f"row {record.number} is of the part {part!r}")
        elif limit is not None and taken[part] > limit:
            yield record.refused(Reason.UNSELECTED_PART, f"row {record.number} is beyond the {limit} taken of {part!r}")
        else:
            yield record


def part_of(record: Record) -> str:
    """The first folder of the image's path."""
    image = record.get("image")
    parts = PurePosixPath(image.lstrip("/")).parts if isinstance(image, str) else ()
    return parts[0] if parts else ""


def _problem(section: SourceSection, record: Record) -> Problem:
    part = part_of(record)
    answer = record.text("gt")
    if part == "synthesis":
        # Math PUMA gives a worked solution with the answer after a dagger.
        alone = len(answer) <= _LONGEST and not re.search(r"[.!?]\s+\w", answer)  # short, and no two sentences
        answer = choices.answer_in_reply(answer) or (answer if alone else "")
        if not answer:
            raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} has a solution that states no answer")
    if part not in LICENSES:
        raise LineProblem(Reason.UNSELECTED_PART, f"row {record.number} is of the part {part!r}")
    return Problem(
        problem=record.text("question"),
        answer=answer,
        letters_only=part in _CHOICES,
        skill=part,
        image=record.text("image"),
        source=f"{section.name}/{part}",
        license=LICENSES[part],
    )
