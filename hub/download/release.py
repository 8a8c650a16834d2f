"""Read the data as the paper's authors released it: JSON lines and image archives, one repo for each stage.

A row becomes a question, a stored prediction an answer, an unusable row a verdict with its reason, so that filters,
orders, splits and stage files are those of a build, and `funnel`, `why`, `report` and `curriculum` work. Predictions
are not graded again. The layout follows descriptions of the release; the original files have not been seen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import HubError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Answer, Outcome, Question, Stage, Verdict
from datagen.sources import questions
from datagen.sources.formats import archives
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Keys, Reading, Record
from datagen.sources.formats.records import read_files
from datagen.sources.images.source_images import SourceImages
from datagen.sources.images.store import Store
from datagen.sources.source import Problem, Source
from hub.download.fetch import Snapshot

#: Prefix of a file of rows -> its stage.
_STAGES: Mapping[str, Stage] = {
    "perception": Stage.PERCEPTION,
    "textual_reasoning": Stage.TEXT,
    "text": Stage.TEXT,
    "visual_reasoning": Stage.VISUAL,
    "visual": Stage.VISUAL,
}
_ROWS = re.compile(rf"({'|'.join(sorted(_STAGES, key=len, reverse=True))})[a-z_]*\.jsonl")
#: Letters in a source's name or in the folder of its images, the name used here, and the upstream licence.
_SOURCES: Sequence[tuple[str, str, str]] = (
    ("docci", "DOCCI", "cc-by-4.0"),
    ("pixmo", "PixmoCap", "odc-by"),
    ("openreasonerzero", "ORZ-Math-13k", "mit"),
    ("orz", "ORZ-Math-13k", "mit"),
    ("clevr", "CLEVR-Math", "cc-by-4.0"),
    ("geoqa", "GeoQA170K", "unknown"),
    ("geo170k", "GeoQA170K", "unknown"),
    ("puma", "Math-PUMA", "gpl-3.0"),
    ("synthesis", "Math-PUMA", "gpl-3.0"),
    ("arxivqa", "ArxivQA", "cc-by-sa-4.0"),
    ("docvqa", "DocVQA", "apache-2.0"),
)
#: The end of the released perception questions; the system prompt gives the answer's format.
_LETTER_ONLY = re.compile(r"\s*(?:respond|answer)\b[^\n]*\bonly the letter\b[^\n]*\s*\Z", re.IGNORECASE)
_OPTIONS = re.compile(r"\n\s*Options:\s*\n", re.IGNORECASE)
_OPTION = re.compile(r"^\s*([A-Z])\s*[:.)]\s*(.*?)\s*$")
#: The stored prediction where the release's extractor found no answer.
_NOTHING = ("", "None")
#: The model whose predictions were stored.
SOLVER = "policy"


def rows_file(names: Sequence[str]) -> tuple[str, Stage] | None:
    """The file of rows among a repo's files and its stage; None if the repo is not of the release.

    Raises:
        HubError: there are several.
    """
    found = [(name, match) for name in names if (match := _ROWS.fullmatch(name))]
    if len(found) > 1:
        raise HubError(f"There are several files of rows ({', '.join(name for name, _ in found)}); one was expected.")
    return (found[0][0], _STAGES[found[0][1][1]]) if found else None


def patterns(rows: str) -> tuple[str, ...]:
    """Patterns of the files to download: the rows and the image archives."""
    return (rows, *(f"images/*{ending}" for ending in archives.ENDINGS), *(f"*{e}" for e in archives.ENDINGS))


@dataclass(frozen=True, slots=True)
class ReleasedRow:
    """A question with its predictions as answers, or the verdict on an unusable row."""

    question: Question | None
    answers: Sequence[Answer]
    verdict: Verdict | None


def read(snapshot: Snapshot, rows: str, stage: Stage, store: Store) -> Iterator[ReleasedRow]:
    """The rows of one stage; images are read from the archives into `store`.

    Raises:
        SourceError: the rows or an archive cannot be read.
    """
    path = snapshot.folder / rows
    section = SourceSection(kind="problems", repo=snapshot.repo_id, revision=snapshot.oid)
    bundles = [snapshot.folder / name for name in snapshot.names() if archives.is_archive(Path(name))]
    images = None if stage is Stage.TEXT else SourceImages(section, store, (), bundles)

    def records() -> Iterator[Record]:
        return read_files([path], Reading(Keys(snapshot.repo_id), ("problem", "answer", "correctness")))

    source = Source(records, lambda record: problem(record, stage), images)
    # One item for each record, in order.
    for record, item in zip(records(), questions.read(source, stage, (), section.limits), strict=True):
        if isinstance(item, Question):
            yield ReleasedRow(item, answers(record, item), None)
        elif isinstance(item, Verdict):
            yield ReleasedRow(None, (), item)


def problem(record: Record, stage: Stage) -> Problem:
    """A released row as a problem.

    Raises:
        LineProblem: a field is missing, or predictions, grades and pass rate contradict each other.
    """
    correct = _correctness(record)
    text = _LETTER_ONLY.sub("", record.text("problem"))
    text, options = _split_options(text) if stage is Stage.PERCEPTION else (text, ())
    rate = record.get("pass_rate")
    if isinstance(rate, int | float) and abs(rate - sum(correct) / len(correct)) > 1e-3:
        detail = f"row {record.number} has a pass rate of {rate} and {sum(correct)} of {len(correct)} right"
        raise LineProblem(Reason.MALFORMED_LINE, detail)
    name, license_ = origin(record)
    return Problem(text, record.text("answer"), options, image=_image(record, stage), source=name, license=license_)


def _image(record: Record, stage: Stage) -> object:
    """The name of the row's image; any value but a list of one is passed on, and refused by the image reader."""
    found = None if stage is Stage.TEXT else record.get("images")
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _correctness(record: Record) -> list[bool]:
    found, predictions = record.get("correctness"), record.get("predictions")
    if not isinstance(found, list) or not found or not all(isinstance(one, bool) for one in found):
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no list of true and false in 'correctness'")
    if predictions is not None and (not isinstance(predictions, list) or len(predictions) != len(found)):
        raise LineProblem(Reason.MALFORMED_LINE, f"row {record.number} has not as many predictions as grades")
    return found


def _split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """A question and its options, one on each line after `Options:`; the whole text and () for any other form."""
    parts = _OPTIONS.split(text, maxsplit=1)
    lines = [line for line in parts[-1].splitlines() if line.strip()]
    matches = [_OPTION.match(line) for line in lines]
    letters = "".join(match[1] for match in matches if match)
    if len(parts) == 2 and len(letters) == len(lines) >= 2 and "ABCDEFGHIJ".startswith(letters):
        return parts[0].strip(), tuple(match[2] for match in matches if match)
    return text, ()


def origin(record: Record) -> tuple[str, str]:
    """A row's source and licence, from the source's name, else from the folder of its image."""
    images, source = record.get("images"), record.get("source")
    image = images[0] if isinstance(images, list) and images and isinstance(images[0], str) else ""
    named = source if isinstance(source, str) else ""
    for text in (named, image):
        letters = "".join(letter for letter in text.lower() if letter.isalnum())
        for known, name, license_ in _SOURCES:
            if known in letters:
                return name, license_
    return named or "unknown", "unknown"


def answers(record: Record, question: Question) -> list[Answer]:
    """The stored predictions as answers; an empty one is `unparsed`, not `wrong`."""
    correct = _correctness(record)
    stored = record.get("predictions")
    predictions = stored if isinstance(stored, list) else [""] * len(correct)
    arm = "image" if question.image_id else "text"
    made = []
    for rollout, (prediction, right) in enumerate(zip(predictions, correct, strict=True)):
        text = "" if prediction is None else str(prediction)
        outcome = Outcome.RIGHT if right else Outcome.UNPARSED if text in _NOTHING else Outcome.WRONG
        key = f"{question.question_id}-{rollout}"
        made.append(
            Answer(
                key, question.question_id, SOLVER, "rollout", arm, rollout, "", text, outcome, "stop", 0, 0, "",
                detail="as released",
            )
        )  # fmt: skip
    return made
