"""Geo170K's questions (Gao et al. 2023): `data/qa_tuning-*.parquet` or `qa_tuning.json`, and `images.zip`.

A row has image (a path below `images/`) and conversations: a human turn with the question, mostly with `Choices:` in
its text, and a gpt turn with a worked solution. The gold answer is what the solution says last; a solution that states
none that can be graded makes no row. The alignment split holds captions and is not read.
"""

from collections.abc import Mapping

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import find_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.options import choices, in_text
from datagen.sources.source import Problem, Source, of_files

FILES = ("data/qa_tuning-*.parquet", "qa_tuning-*.parquet", "qa_tuning.json")
IMAGES = "images.zip"


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The questions.

    Raises:
        SourceError: they are not there.
    """
    files = find_files(place.folder, FILES, "its questions")
    images = SourceImages.packed(section, place, place.folder, IMAGES)
    return of_files(files, ("image", "conversations"), section, place, _problem, images)


def _problem(section: SourceSection, record: Record) -> Problem:
    question, reply = _said(record, "human"), _said(record, "gpt")
    text = choices.without_preamble(choices.without_placeholders(question))
    options = in_text.options(text)
    answer = choices.letter_in_reply(reply, options) if options else choices.answer_in_reply(reply)
    if not answer:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number}: its solution states no final answer")
    return Problem(
        problem=text,
        answer=answer,
        letters_only=True,
        skill="geometry",
        image=record.text("image"),
        source=section.name,
        license=section.row_license,
    )


def _said(record: Record, speaker: str) -> str:
    """The first turn of a speaker."""
    turns = record.get("conversations")
    for turn in turns if isinstance(turns, list) else ():
        value = turn.get("value") if isinstance(turn, Mapping) and turn.get("from") == speaker else None
        if isinstance(value, str):
            return value
    raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no turn of {speaker!r} in 'conversations'")
