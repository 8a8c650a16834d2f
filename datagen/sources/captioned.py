"""From the records of any source of captioned images to `CaptionedImage` rows, or verdicts on those that give none."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits
from capcurriculum.rows import CaptionedImage, Verdict
from datagen.image_decoding import ImageProblem
from datagen.sources.formats.json_lines import LineProblem, of_row, short, whole
from datagen.sources.formats.record import Record
from datagen.sources.images.store import Stored
from datagen.sources.options import answer_keys
from datagen.sources.source import NO_LICENSE, Caption, Source, refusal


def read(
    source: Source[Caption], stage: str, known: Collection[str], limits: Limits
) -> Iterator[CaptionedImage | Verdict]:
    """Rows of `stage`, and verdicts on records that gave none; those whose keys are in `known` are skipped.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    source.prepare(known)
    seen: set[str] = set()
    for record in source.records():
        if record.key in known:
            continue
        try:
            said = safe(source.say(record), record, limits)
            with of_row(record.number):
                found = row(record, said, source.image(said), stage)
            yield unrepeated(found, seen, known, record)
        except (LineProblem, ImageProblem) as problem:
            yield refusal(record, problem, stage)


def safe(said: Caption, record: Record, limits: Limits) -> Caption:
    """What a record says, with its caption safe for a prompt.

    Raises:
        LineProblem: the caption is too long, empty, or a word for a missing value.
    """
    short(said.caption, limits.caption, record.number, "caption")
    caption = neutral(said.caption)
    if answer_keys.is_missing(caption) and caption:
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no caption but {caption!r}")
    if not caption:
        raise LineProblem(Reason.EMPTY_CAPTION, f"row {record.number} has an empty caption")
    return replace(said, caption=caption)


def row(record: Record, said: Caption, image: Stored, stage: str) -> CaptionedImage:
    """The row of a caption and its image.

    Raises:
        LineProblem: one of its texts cannot be written.
    """
    made = CaptionedImage(
        caption_id=CaptionedImage.key(image.image_id, said.caption, stage),
        row_key=record.key,
        image_id=image.image_id,
        image_path=image.path,
        caption=said.caption,
        source=said.source,
        license=said.license or NO_LICENSE,
        example_id=said.example_id,
        stage=stage,
    )
    return whole(made, record.number)


def unrepeated(found: CaptionedImage, seen: set[str], known: Collection[str], record: Record) -> CaptionedImage:
    """`found`, added to `seen`.

    Raises:
        LineProblem: the same image with the same caption was met before.
    """
    if found.caption_id in seen or found.caption_id in known:
        raise LineProblem(Reason.DUPLICATE_ROW, f"row {record.number} repeats an image and its caption")
    seen.add(found.caption_id)
    return found
