"""Math PUMA's synthetic problems (Zhuang et al. 2024), GPL-3.0: `Synthesis/train.json` and `Synthesis/images.tar.gz`.

A row has image_url (a path into the archive), instruction and output; output is a worked solution with the answer after
`†Answer:`. The columns of the second view (image_url_2, ...) are not read.
"""

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import find_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.options import choices, in_text
from datagen.sources.source import Problem, Source, of_files

FILES = ("Synthesis/train.json", "Synthesis/train.jsonl", "train.json", "train.jsonl")
ARCHIVE = "images.tar.gz"


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The problems; `path` is the repository's folder or its `Synthesis`.

    Raises:
        SourceError: they are not there.
    """
    files = find_files(place.folder, FILES, "its problems")[:1]
    images = SourceImages.packed(section, place, files[0].parent, ARCHIVE)
    return of_files(files, ("image_url", "instruction", "output"), section, place, _problem, images)


def _problem(section: SourceSection, record: Record) -> Problem:
    text, solution = record.text("instruction"), record.text("output")
    options = in_text.options(text)
    answer = choices.answer_in_reply(solution) or (choices.letter_in_reply(solution, options) if options else "")
    if not answer:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number}: its solution states no final answer")
    return Problem(
        problem=text,
        answer=answer,
        skill="math_puma",
        image=record.text("image_url"),
        source=section.name,
        license=section.row_license,
    )
