"""Reasoning problems with gold answers: `problems.jsonl`, with an `images/` folder when they have images.

Each line holds problem and answer, optionally skill and image_file. A line that cannot be used becomes a verdict.
"""

from functools import partial

from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import line_records
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.source import Problem, Source

PROBLEMS = "problems.jsonl"


def source(section: SourceSection, place: Place, visual: bool) -> Source[Problem]:
    """The problems; each has an image if they are `visual`."""
    folder = place.folder / "images"
    images = SourceImages(section, place.store, ((folder, place.inside(folder)),)) if visual else None
    rows = place.folder / PROBLEMS
    records = partial(line_records, rows, place.name, section.limits.line)
    return Source(records, partial(_problem, section, place.name), images, files=(rows,))


def _problem(section: SourceSection, name: str, record: Record) -> Problem:
    problem, answer, skill = record.string("problem"), record.string("answer"), record.get("skill")
    if not neutral(answer):
        raise LineProblem(Reason.EMPTY_PROBLEM, f"row {record.number} has an empty answer")
    if record.get("options") or record.get("choices"):
        detail = f"row {record.number} has options; map its columns in the recipe (columns: {{options: ...}})"
        raise LineProblem(Reason.MISSING_OPTIONS, detail)
    return Problem(
        problem=problem,
        answer=answer,
        skill=skill if isinstance(skill, str) else "unknown",
        image=record.get("image_file"),
        source=name,
        license=section.row_license,
    )
