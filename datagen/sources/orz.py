"""ORZ-Math-13k: the JSON of conversations that Open-Reasoner-Zero publishes.

An array of conversations, each a list of turns: `{"from": "human", "value": problem}` and then
`{"from": "assistant", "ground_truth": {"value": answer}}`.
"""

from collections.abc import Iterator, Mapping

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe_sources import SourceSection
from datagen.sources.lines import LineProblem
from datagen.sources.place import Place
from datagen.sources.questions import Problem, ProblemSource
from datagen.sources.records import Keys, Record, find_files, read_files

FILES = ("orz_math_13k_collection_hard.json", "**/orz_math_*.json")


def source(section: SourceSection, place: Place) -> ProblemSource:
    """The problems; `path` is the JSON file or a folder that holds it.

    Raises:
        SourceError: there is no such file.
    """
    folder = place.folder
    files = [folder] if folder.is_file() else find_files(folder, section.files or FILES[:1], "ORZ's conversations")

    def records() -> Iterator[Record]:
        return _conversations(read_files(files, Keys(place.name), ("conversation",)), section)

    return ProblemSource(records, lambda record: _problem(section, record))


def _conversations(records: Iterator[Record], section: SourceSection) -> Iterator[Record]:
    """The records, after a look at the first: a file of something else is one error and not ten thousand verdicts."""
    for record in records:
        if record.number == 1 and (_turn(record, "human") is None or _turn(record, "assistant") is None):
            raise SourceError(
                f"The orz source {section.path or section.repo} does not begin with a conversation of a human and an "
                "assistant turn; if it is a table of problems and answers, use kind: problems with columns."
            )
        yield record


def _turn(record: Record, speaker: str) -> Mapping[str, object] | None:
    turns = record.get("conversation")
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, Mapping) and turn.get("from") == speaker:
            return turn
    return None


def _problem(section: SourceSection, record: Record) -> Problem:
    human, assistant = _turn(record, "human"), _turn(record, "assistant")
    problem = human.get("value") if human else None
    truth = assistant.get("ground_truth") if assistant else None
    answer = truth.get("value") if isinstance(truth, Mapping) else None
    if not isinstance(problem, str) or not isinstance(answer, str):
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no human value or no ground_truth.value")
    return Problem(problem, answer, skill="math", source=section.name, license=section.row_license)
