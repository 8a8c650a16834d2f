"""DocVQA (Mathew et al. 2021) as `lmms-lab/DocVQA` has it: `DocVQA/<split>-*.parquet` with the images inside.

A row has questionId, question, question_types, image and answers (all that are accepted; none in the test split). A
row whose accepted answers differ by more than case and spacing is not kept: the reward knows one answer, and would
mark the others wrong.
"""

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import find_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.source import Problem, Source, of_files


def patterns(section: SourceSection) -> tuple[str, ...]:
    """The files of the Hub data set that the selected splits need."""
    return tuple(f"DocVQA/{split}-*.parquet" for split in section.selected_splits)


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The questions of the selected splits.

    Raises:
        SourceError: they are not there.
    """
    anywhere = [f"{below}{split}-*.parquet" for split in section.selected_splits for below in ("DocVQA/", "")]
    files = find_files(place.folder, anywhere, "its questions")
    images = SourceImages(section, place.store)
    return of_files(files, ("question", "image", "answers"), section, place, _problem, images)


def _problem(section: SourceSection, record: Record) -> Problem:
    accepted = {" ".join(answer.split()).casefold(): answer for answer in reversed(record.texts("answers"))}
    if not accepted:
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no answers")
    if len(accepted) > 1:
        shown = ", ".join(repr(answer) for answer in accepted.values())[:200]
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} accepts different answers: {shown}")
    kinds = record.texts("question_types")
    return Problem(
        problem=record.text("question"),
        answer=next(iter(accepted.values())),
        options_in_text=False,
        skill=kinds[0] if kinds else "document",
        image=record.get("image"),
        source=section.name,
        license=section.row_license,
    )
