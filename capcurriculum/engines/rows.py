"""The rows of a set as training shows them: the same messages, the images where `<image>` stands, the gold answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.engines.source import Selection, Source, files
from capcurriculum.errors import SourceError

PLACEHOLDER = "<image>"
#: The columns read, which are those of verl.
COLUMNS = ("prompt", "images", "reward_model", "extra_info")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    `content` is the user's turn: texts, and images as the bytes of their files, in the order in which they are shown.
    `gold` is the letter of the right option or the free answer, `extra` what the reward reads beside it (`options`,
    `kind`, `question_id`).
    """

    key: str
    stage: str
    system: str
    content: tuple[str | bytes, ...]
    gold: str
    extra: Mapping[str, Any]


def rows(source: Source, wanted: Selection) -> Iterator[Row]:
    """The rows of a selection in curriculum order; the images of a few are in memory at a time.

    Raises:
        SourceError: the selection is empty, a file cannot be read, or a row's images do not fit its text.
    """
    for stage, path in files(source, wanted):
        for number, row in enumerate(_read(path)):
            yield _row(row, stage, f"Row {number} of {path}")


def _read(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SourceError(f"Rows are read by {error.name}; install capcurriculum[environment].") from error
    try:
        with pq.ParquetFile(path) as file:
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise SourceError(f"{path} lacks the columns {', '.join(missing)}; it is no file of a set.")
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(COLUMNS)):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(f"{path} cannot be read ({reason}); download or build it again.") from error


def _row(row: Mapping[str, Any], stage: str, place: str) -> Row:
    turns = [(turn["role"], turn["content"]) for turn in row["prompt"]]
    match turns:
        case [("system", system), ("user", user)]:
            pass
        case [("user", user)]:
            system = ""
        case _:
            found = ", ".join(role for role, _ in turns)
            raise SourceError(f"{place} has turns of {found or 'nobody'}; one of a user is expected.")
    extra = dict(row["extra_info"] or {})
    images = [image["bytes"] for image in row["images"] or ()]
    if None in images:
        raise SourceError(f"{place} names an image by a path, which is not followed; build the set again.")
    return Row(
        key=str(extra.get("question_id") or ""),
        stage=stage,
        system=system,
        content=_content(user, images, place),
        gold=row["reward_model"]["ground_truth"],
        extra=extra,
    )


def _content(text: str, images: Sequence[bytes], place: str) -> tuple[str | bytes, ...]:
    """The text with an image in place of each placeholder, as verl's dataset puts them.

    In a row without images a placeholder is text, unless the text begins with it: then the row has lost its image.
    """
    if not images and not text.startswith(PLACEHOLDER):
        return (text,)
    parts = [part for part in re.split(f"({PLACEHOLDER})", text) if part]
    if parts.count(PLACEHOLDER) != len(images):
        raise SourceError(f"{place} has {len(images)} images and {parts.count(PLACEHOLDER)} places for them.")
    shown = iter(images)
    return tuple(next(shown) if part == PLACEHOLDER else part for part in parts)
