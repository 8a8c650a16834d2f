"""What every reader of a source gives: records, what a record says, and where its images are.

`captioned` and `questions` turn a `Source` into rows and verdicts, whatever its files look like.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Verdict
from datagen.image_decoding import ImageProblem
from datagen.sources.formats.json_lines import LineProblem, of_row
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import read_files
from datagen.sources.images.embedded import is_embedded
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.images.store import Stored

#: The step that rows and verdicts of sources are recorded under.
FILTER = "source"
#: Reasons of records that do not count towards a `limit`.
UNSELECTED = (Reason.UNSELECTED_SPLIT, Reason.UNSELECTED_PART)
NO_LICENSE = "unknown"


@dataclass(frozen=True, slots=True)
class Caption:
    """A captioned image: `image` is what the record holds or names, `example_id` what upstream calls it."""

    caption: str
    image: object
    example_id: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with its gold answer.

    With `options`, `problem` is the question alone, and `answer` may name its option in any spelling. Without, and with
    `options_in_text`, options at the end of `problem` are looked for, and count if `answer` names one. `letters_only`:
    a letter without its options, or an answer beside them, is no answer, because the source is multiple choice.
    `image` is what the record holds or names, None for none; `kind` that of a free answer, "" where it is to be found.
    """

    problem: str
    answer: str
    options: tuple[str, ...] = ()
    options_in_text: bool = True
    letters_only: bool = False
    skill: str = "unknown"
    image: object = None
    source: str = ""
    license: str = NO_LICENSE
    kind: str = ""


Said = TypeVar("Said", Caption, Problem)


@dataclass(frozen=True, slots=True)
class Source(Generic[Said]):
    """How to read one source.

    `records` yields its records, always in the same order; `parse` returns what one of them says and raises
    `LineProblem` for one that says nothing usable. With `images` every row has one. `convention` says how whole-number
    keys of options were read, "" where there are none. `files` hold the records where every row of them is one; empty
    where rows are chosen, or made.
    """

    records: Callable[[], Iterator[Record]]
    parse: Callable[[Record], Said]
    images: SourceImages | None = None
    convention: str = ""
    files: Sequence[Path] = ()

    def say(self, record: Record) -> Said:
        """What a record says.

        Raises:
            LineProblem: nothing usable, whatever the record holds.
        """
        if record.problem:
            raise record.problem
        with of_row(record.number):
            return self.parse(record)

    def image(self, said: Said) -> Stored:
        """The image that a record holds or names; `Stored("", "")` where the source has none.

        Raises:
            ImageProblem: it is missing or not usable.
            LineProblem: the record has no single image.
        """
        return self.images.find(said.image) if self.images else Stored("", "")

    def prepare(self, known: Collection[str], see: Callable[[Said], None] = lambda said: None) -> None:
        """Read every record once, before any row is made: call `see` with what each says, and unpack archives.

        Images are unpacked for records whose keys are not in `known`.

        Raises:
            SourceError: the records or an archive cannot be read.
        """
        names = self._image_names(known, see)
        if self.images:
            self.images.prepare(names)
        deque(names, maxlen=0)

    def _image_names(self, known: Collection[str], see: Callable[[Said], None]) -> Iterator[str]:
        for record in self.records():
            try:
                said = self.say(record)
            except LineProblem:
                continue
            see(said)
            if record.key not in known and isinstance(said.image, str) and not is_embedded(said.image):
                yield said.image

    def first(self, limit: int | None) -> "Source[Said]":
        """The source with its first `limit` records only; those of splits and parts not selected do not count."""
        if limit is None:
            return self

        def records() -> Iterator[Record]:
            taken = 0
            for record in self.records():
                if record.problem is None or record.problem.reason not in UNSELECTED:
                    if taken == limit:
                        return
                    taken += 1
                yield record

        return replace(self, records=records)


def of_files(
    files: Sequence[Path],
    needed: tuple[str, ...],
    section: SourceSection,
    place: Place,
    parse: Callable[[SourceSection, Record], Said],
    images: SourceImages,
) -> Source[Said]:
    """A source of every row of `files`, in which the columns `needed` must be."""
    return Source(
        lambda: read_files(files, Reading.of(section, place.name, needed)), partial(parse, section), images, "", files
    )


def refusal(record: Record, problem: LineProblem | ImageProblem, stage: str) -> Verdict:
    """The verdict on a record that gave no row."""
    return Verdict(record.key, stage, FILTER, False, problem.reason, problem.detail)
