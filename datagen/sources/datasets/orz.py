"""ORZ-Math-13k: the JSON of conversations that Open-Reasoner-Zero publishes.

An array of conversations, each a list of turns: `{"from": "human", "value": problem}` and then
`{"from": "assistant", "ground_truth": {"value": answer}}`, where others write the speakers in other ways.
"""

import itertools
from collections.abc import Iterator, Mapping

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Reading, Record, single
from datagen.sources.formats.records import LOOK_AHEAD, find_files, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.source import Problem, Source

FILES = ("orz_math_13k_collection_hard.json", "**/orz_math_*.json")


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The problems; `path` is the JSON file or a folder that holds it.

    Raises:
        SourceError: there is no such file.
    """
    folder = place.folder
    files = [folder] if folder.is_file() else find_files(folder, section.files or FILES[:1], "ORZ's conversations")

    def records() -> Iterator[Record]:
        return _conversations(read_files(files, Reading.of(section, place.name, ("conversation",))), section)

    return Source(records, lambda record: _problem(section, record))


def _conversations(records: Iterator[Record], section: SourceSection) -> Iterator[Record]:
    """The records, after a look at the first: a file of something else is one error and not ten thousand verdicts."""
    first = list(itertools.islice(records, LOOK_AHEAD))
    if first and not any(said(record) for record in first):
        raise SourceError(
            f"The orz source {section.path or section.repo} does not begin with conversations of a problem and a turn "
            "with its ground_truth; if it is a table of problems and answers, use kind: problems with columns."
        )
    yield from itertools.chain(first, records)


def said(record: Record) -> tuple[str, str] | None:
    """Problem and answer by the places of the turns, or None: the data's own loader looks at no speaker's name."""
    turns = record.get("conversation")
    if not isinstance(turns, list) or len(turns) < 2:
        return None
    answered = next(
        (place for place, turn in enumerate(turns) if isinstance(turn, Mapping) and "ground_truth" in turn), 1
    )
    problem = single(record.get(f"conversation.{answered - 1}.value")) if answered else None
    answer = single(record.get(f"conversation.{answered}.ground_truth.value"))
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not isinstance(problem, str):
        return None
    return problem, str(answer)


def _problem(section: SourceSection, record: Record) -> Problem:
    found = said(record)
    if found is None:
        detail = f"row {record.number} has no problem in its first turn or no ground_truth.value in its second"
        raise LineProblem(Reason.MISSING_FIELD, detail)
    problem, answer = found
    return Problem(problem, answer, skill="math", source=section.name, license=section.row_license)
