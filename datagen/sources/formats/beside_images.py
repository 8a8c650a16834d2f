"""Images with their texts in files of the same name beside them: `cat.jpg`, and `cat.txt` or `cat.json`.

Each image is a row. Its columns are named as WebDataset names them: `image`, and the ending of every file beside it
(`txt`, `caption`, `json`), so that a dot reaches into a JSON: `json.caption`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.files import json_file
from capcurriculum.reasons import Reason
from datagen.sources.formats import encoding
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Reading, Record

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
TEXTS = (".txt", ".caption", ".json")


def read(path: Path, reading: Reading) -> Iterator[Record]:
    """The one row of an image; it is refused where a text that is needed is missing or cannot be read.

    Its number is its place among the images of the source.

    Raises:
        OSError: a file beside it cannot be read.
    """
    number = len(reading.keys.seen) + reading.keys.repeats.total() + 1
    values: dict[str, object] = {"image": path.name}
    problem: LineProblem | None = None
    for file in beside(path):
        try:
            values[file.suffix.lower()[1:]] = _value(file, reading.limits.line)
        except LineProblem as found:
            problem = found
    for column in {column.split(".")[0] for column in reading.needed} - values.keys():
        missing = f"there is no {path.stem}.{column} beside {path.name}"
        problem = problem or LineProblem(Reason.MISSING_FIELD, missing)
    record = reading.keys.record(number, values)
    yield record.refused(problem.reason, problem.detail) if problem else record


def beside(path: Path) -> list[Path]:
    """The files of text beside an image; of two whose endings differ in capitals alone the first counts."""
    found = (
        next((file for file in map(path.with_suffix, (ending, ending.upper())) if file.is_file()), None)
        for ending in TEXTS
    )
    return [file for file in found if file]


def _value(file: Path, most: int) -> object:
    """The text of a file, or what its JSON says."""

    def refused(what: object) -> LineProblem:
        return LineProblem(Reason.MALFORMED_LINE, f"{file.name} {what}")

    try:
        with encoding.opened(file) as handle:
            text = handle.read(most + 1)
    except SourceError as error:  # of this file alone
        raise LineProblem(Reason.MALFORMED_LINE, str(error)) from error
    if len(text) > most:
        raise refused(f"is longer than {most:,} characters (line in the source's limits)")
    if undecoded := encoding.undecoded(text):
        raise refused(undecoded)
    if file.suffix.lower() != ".json":
        return text.strip()
    try:
        json_file.check_depth(text)
        value: object = json.loads(text)
    except json_file.TooDeep as error:
        raise refused(f"is {error}") from error
    except (ValueError, RecursionError) as error:
        raise refused(f"is not JSON: {error}") from error
    return value
