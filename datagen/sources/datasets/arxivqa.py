"""ArxivQA (Li et al. 2024), CC-BY-SA-4.0: `arxivqa.jsonl` beside `images.tgz`, or the folder `images` unpacked from it.

A row has id, image (`images/<file>`), question, options (a list, often with the letters before the texts), label (the
key, in many spellings) and rationale. A label that names no option makes no row.
"""

from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import find_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.options import choices
from datagen.sources.source import Problem, Source, of_files

FILE, ARCHIVE = "arxivqa.jsonl", "images.tgz"


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The questions.

    Raises:
        SourceError: they or their images are not there.
    """
    files = find_files(place.folder, (FILE,), "its questions")
    images = SourceImages.packed(section, place, place.folder, ARCHIVE, below=("",))
    return of_files(files, ("image", "question", "options", "label"), section, place, _problem, images)


def _problem(section: SourceSection, record: Record) -> Problem:
    return Problem(
        problem=record.text("question"),
        answer=record.text("label"),
        options=choices.cleaned(record.texts("options")),
        letters_only=True,
        skill="figure",
        image=record.text("image"),
        source=section.name,
        license=section.row_license,
    )
