"""Captioned images of any origin become `CaptionedImage` rows, or verdicts: one road for every caption source."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.rows import CaptionedImage, Verdict
from datagen.images import ImageProblem
from datagen.sources.formats.json_lines import LineProblem, of_row, short, whole
from datagen.sources.formats.record import Record
from datagen.sources.images.images import Pictures, image_names
from datagen.sources.images.store import Stored
from datagen.sources.options import answer_keys

FILTER = "source"


@dataclass(frozen=True, slots=True)
class Caption:
    """What a source row says; `image` is what it holds or names, `example_id` what upstream calls it."""

    caption: str
    image: object
    example_id: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class CaptionSource:
    """How to read one source: its records, always in the same order, and what each says.

    `parse` raises `LineProblem` for a record that says nothing usable.
    """

    records: Callable[[], Iterator[Record]]
    parse: Callable[[Record], Caption]
    pictures: Pictures

    def say(self, record: Record) -> Caption:
        """What a record says; raises `LineProblem` for one that says nothing usable, whatever it holds."""
        with of_row(record.number):
            return self.parse(record)


def read(source: CaptionSource, stage: str, known: Collection[str]) -> Iterator[CaptionedImage | Verdict]:
    """Rows of `stage`, and verdicts on those that gave none; keys in `known` are skipped without touching their image.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    source.pictures.prepare(image_names(source.records(), source.say, known))
    seen: set[str] = set()
    for record in source.records():
        if record.key in known:
            continue
        try:
            said = parsed(source, record)
            with of_row(record.number):
                found = row(record, said, source.pictures.find(said.image), stage)
            yield unrepeated(found, seen, known, record)
        except (LineProblem, ImageProblem) as problem:
            yield refusal(record, problem, stage)


def parsed(source: CaptionSource, record: Record) -> Caption:
    """What the record says, its caption made safe.

    Raises:
        LineProblem: nothing usable.
    """
    if record.problem:
        raise record.problem
    said = source.say(record)
    short(said.caption, source.pictures.section.limits.caption, record.number, "caption")
    caption = neutral(said.caption)
    if answer_keys.is_missing(caption) and caption:
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no caption but {caption!r}")
    if not caption:
        raise LineProblem(Reason.EMPTY_CAPTION, f"row {record.number} has an empty caption")
    return Caption(caption, said.image, said.example_id, said.source, said.license)


def row(record: Record, said: Caption, image: Stored, stage: str) -> CaptionedImage:
    """The row of a caption and its image; raises `LineProblem` where its texts cannot be written."""
    made = CaptionedImage(
        caption_id=CaptionedImage.key(image.image_id, said.caption, stage),
        row_key=record.key,
        image_id=image.image_id,
        image_path=image.path,
        caption=said.caption,
        source=said.source,
        license=said.license or "unknown",
        example_id=said.example_id,
        stage=stage,
    )
    return whole(made, record.number)


def unrepeated(found: CaptionedImage, seen: set[str], known: Collection[str], record: Record) -> CaptionedImage:
    """`found`, remembered in `seen`.

    Raises:
        LineProblem: the same image with the same caption was met before.
    """
    if found.caption_id in seen or found.caption_id in known:
        raise LineProblem(Reason.DUPLICATE_ROW, f"row {record.number} repeats an image and its caption")
    seen.add(found.caption_id)
    return found


def refusal(record: Record, problem: LineProblem | ImageProblem, stage: str) -> Verdict:
    """The verdict on a row that gave none."""
    return Verdict(record.key, stage, FILTER, False, problem.reason, problem.detail)
