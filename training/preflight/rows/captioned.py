"""Captions as verl's supervised trainer will read them: every picture, every control token, and every length.

That trainer stops at the first row that is too long, so such rows are refused before it starts, all of them at once.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError

from training import captions
from training.preflight.findings import Findings
from training.preflight.rows.lengths import Lengths
from training.preflight.rows.row import FAULTS, RowResult, count, sizes_of
from training.preflight.rows.slices import Overlong, Seen, Slice, rows
from training.stage_files import StageFiles

READ = ("question_id", "images")


@dataclass(frozen=True, slots=True)
class CaptionData:
    """A set whose captions are taught: question -> caption, `limit` in tokens of prompt and caption together.

    `keys` are verl's names of the pixel limits, and `model` the checkpoint whose processor reads the rows.
    """

    taught: StageFiles
    told: Mapping[str, str]
    limit: int
    keys: Mapping[str, Any]
    model: Path


def look(part: Slice, told: Mapping[str, str], limit: int, lengths: Lengths, *, exact: bool) -> Seen:
    """What a slice's rows hold that have a caption to teach; pictures are read as they are, never turned upright."""
    seen = Seen(part, array("i"), array("i"))
    for offset, row in rows(part, READ):
        caption = told.get(row["question_id"])
        if caption is not None:
            result = check(row, caption, lengths, exact=exact)
            seen.tokens.append(result.tokens)
            seen.image_tokens.append(result.image_tokens)
            place = part.first + offset
            seen.faults += [(place, row["question_id"], name, detail) for name, detail in result.faults]
            if result.tokens > limit:
                seen.overlong.append(
                    Overlong(part.number, place, row["question_id"], result.tokens, result.image_tokens, None)
                )
    seen.checked = len(seen.tokens)
    return seen


def check(row: Mapping[str, Any], caption: str, lengths: Lengths, *, exact: bool) -> RowResult:
    """One row: what would stop the trainer, or be read otherwise than it is written."""
    data = [image["bytes"] if image else None for image in row["images"] or []]
    turns = captions.turns(len(data), caption)
    sizes, faults = sizes_of(data, upright=False)
    if token := lengths.control_token(caption):
        faults.append(("caption_token", token))
    if faults:
        return RowResult(tuple(faults))
    try:
        found = count(turns, data, sizes, lengths, upright=False, exact=exact)
    except (ValueError, TypeError, KeyError, IndexError, TemplateError) as error:
        return RowResult((("unmeasured", f"{type(error).__name__}: {error}"[:200]),))
    return RowResult((), found.tokens, found.image_tokens)


def note(data: CaptionData, seen: Sequence[Seen], findings: Findings) -> dict[str, float]:
    """Findings of a set's captions; their lengths as `StageReport.tokens`."""
    paths, stage = [*data.taught.train, *data.taught.val], data.taught.stage
    for one in seen:
        for row, question_id, name, detail in one.faults:
            said = f": {detail}" if detail else ""
            findings.error(name, FAULTS[name], stage, f"{one.part.path.name}, row {row}, {question_id}{said}")
    for long in sorted((row for one in seen for row in one.overlong), key=lambda row: -row.tokens):
        findings.error(
            "long_caption",
            f"prompt and caption together have more than {data.limit} tokens, at which the trainer stops; raise "
            f"training.knobs.max_response_tokens, lower max_pixels, or leave the rows out by a filter",
            stage,
            f"{paths[long.number].name}, row {long.row}, {long.question_id}: {long.tokens} tokens, "
            f"{long.image_tokens} of them for the picture",
        )
    counted = np.concatenate([np.zeros(0, np.int32), *(np.asarray(one.tokens, np.int32) for one in seen)])
    counted = counted[counted > 0]
    if not len(counted):
        return {}
    low, half, high, most = (float(np.quantile(counted, q, method="higher")) for q in (0, 0.5, 0.99, 1))
    return {"min": low, "mean": float(counted.mean()), "p50": half, "p99": high, "max": most}
