"""Caption rows as verl's supervised trainer reads them: images, control tokens and lengths.

That trainer stops at the first row that is too long, so all such rows are reported before it starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import captions
from training.preflight.rows.lengths import Lengths
from training.preflight.rows.row import RowResult, counted, sizes_of
from training.preflight.rows.slices import Seen, Slice, rows
from training.stage_files import StageFiles

READ = ("question_id", "images")


@dataclass(frozen=True, slots=True)
class CaptionData:
    """A set that trains on captions (question id -> caption), with `limit` in tokens of prompt and caption together.

    `keys` are the pixel limits under verl's names, and `model` is the checkpoint whose processor reads the rows.
    """

    taught: StageFiles
    captions: Mapping[str, str]
    limit: int
    keys: Mapping[str, Any]
    model: Path


def look(part: Slice, captions: Mapping[str, str], limit: int, lengths: Lengths, *, exact: bool) -> Seen:
    """Check the rows of a slice that have a caption; images are never rotated by their orientation tag."""
    seen = Seen(part)
    for offset, row in rows(part, READ):
        caption = captions.get(row["question_id"])
        if caption is not None:
            result = check(row, caption, lengths, exact=exact)
            seen.add(part.first + offset, row["question_id"], result, limit, lambda: None)
    seen.checked = len(seen.tokens)
    return seen


def check(row: Mapping[str, Any], caption: str, lengths: Lengths, *, exact: bool) -> RowResult:
    """One row's faults and length."""
    data = [image["bytes"] if image else None for image in row["images"] or []]
    sizes, faults = sizes_of(data, upright=False)
    if token := lengths.control_token(caption):
        faults.append(("caption_token", token))
    if faults:
        return RowResult(tuple(faults))
    return counted(captions.turns(len(data), caption), data, sizes, lengths, [], upright=False, exact=exact)
