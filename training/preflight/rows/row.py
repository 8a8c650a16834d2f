"""One row as training data: its turns, images, reward and length.

A fault is the name of a check and a detail; `FAULTS` has the text for each name. A fault does not hide those of other
checks.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from jinja2 import TemplateError
from PIL import Image, ImageOps

from capcurriculum import prompts
from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.shown import LONGEST_RATIO, MOST_PIXELS
from training.preflight.rows.lengths import Lengths
from training.reward import compute_score
from training.stage_files import IMAGE

#: Check of a row -> what is wrong and how to correct it.
FAULTS = {
    "turns": "the prompt is not a system turn and a user turn; build the run again",
    "system_prompt": "the system turn is not this version's system prompt, byte for byte; build the run again",
    "placeholders": "there are not as many <image> placeholders as images; drop or mend the rows",
    "other_media": "<video> or <audio> in the text is taken for a recording by verl; drop or mend the rows",
    "control_token": "the problem spells out a control token of the model; drop or mend the rows",
    "image_missing": "an image has no bytes, and verl reads no paths; build the run again",
    "image": "an image cannot be used; drop the rows or replace the images",
    "gold_letter": "the gold answer is not the letter of an option; drop or mend the rows",
    "gold_unpaid": "the gold answer earns no reward when it is given; drop or mend the rows",
    "wrong_paid": "a wrong answer earns the reward of the gold answer; drop or mend the rows",
    "caption_token": "the caption spells out a control token of the model; drop or mend the rows",
    "unmeasured": "the processor makes no prompt of the row; drop or mend the rows",
}
#: Faults with which a row's tokens cannot be counted.
_UNCOUNTABLE = {"placeholders", "other_media", "control_token", "image_missing", "image"}
_OTHER_MEDIA = re.compile("<video>|<audio>")
_ORIENTATION = 0x0112
_ROTATED = frozenset({5, 6, 7, 8})  # orientations that exchange width and height

Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row's faults as (check, detail), and its tokens, 0 if a fault prevented counting."""

    faults: tuple[Fault, ...]
    tokens: int = 0
    image_tokens: int = 0


def check(row: Mapping[str, Any], lengths: Lengths, *, upright: bool, exact: bool) -> RowResult:
    """Check one row of a stage file; `upright` is as in `image_size`, `exact` as in `counted`."""
    turns = row["prompt"] or []
    if [turn["role"] for turn in turns] != ["system", "user"] or None in (turn["content"] for turn in turns):
        return RowResult((("turns", ", ".join(str(turn["role"]) for turn in turns)),))
    data = [image["bytes"] if image else None for image in row["images"] or []]
    sizes, image_faults = sizes_of(data, upright=upright)
    faults = _turn_faults(turns, len(data), lengths) + _reward_faults(row) + image_faults
    if any(name in _UNCOUNTABLE for name, _ in faults):
        return RowResult(tuple(faults))
    return counted(turns, data, sizes, lengths, faults, upright=upright, exact=exact)


def counted(
    turns: Sequence[Mapping[str, str]],
    data: Sequence[bytes | None],
    sizes: Sequence[tuple[int, int]],
    lengths: Lengths,
    faults: Sequence[Fault],
    *,
    upright: bool,
    exact: bool,
) -> RowResult:
    """The faults with the row's tokens, counted from the images' pixels if `exact`, else from their `sizes`."""
    try:
        if exact:
            images = [decoded(one, upright=upright) for one in data if one is not None]
            found = lengths.count_exactly(turns, images)
        else:
            found = lengths.count(turns, sizes)
    except (ValueError, TypeError, KeyError, IndexError, TemplateError) as error:
        return RowResult((*faults, ("unmeasured", f"{type(error).__name__}: {error}"[:200])))
    return RowResult(tuple(faults), found.tokens, found.image_tokens)


def image_size(data: bytes, *, upright: bool) -> tuple[int, int]:
    """Width and height after decoding the whole image; with `upright` rotated by its orientation tag, as in `datasets`.

    Raises:
        ImageProblem: it cannot be decoded, is a decompression bomb, or is too elongated for any processor.
    """
    with image_decoding.opened(data, MOST_PIXELS) as image:
        image.load()
        width, height = image.size
        if upright and image.getexif().get(_ORIENTATION) in _ROTATED:
            width, height = height, width
    if max(width, height) > LONGEST_RATIO * min(width, height):
        raise image_decoding.ImageProblem(
            Reason.UNREADABLE_IMAGE, f"{width} x {height} pixels: one side is over {LONGEST_RATIO} times the other"
        )
    return width, height


def decoded(data: bytes, *, upright: bool) -> Image.Image:
    """The decoded image; raises what `image_size` raises."""
    with image_decoding.opened(data, MOST_PIXELS) as image:
        image.load()
        return ImageOps.exif_transpose(image) if upright else image.copy()


def sizes_of(data: Sequence[bytes | None], *, upright: bool) -> tuple[list[tuple[int, int]], list[Fault]]:
    """Width and height of every usable image, and the faults of the others."""
    sizes, faults = [], []
    for one in data:
        if one is None:
            faults.append(("image_missing", ""))
            continue
        try:
            sizes.append(image_size(one, upright=upright))
        except image_decoding.ImageProblem as problem:
            faults.append(("image", problem.detail))
    return sizes, faults


def _turn_faults(turns: Sequence[Mapping[str, str]], images: int, lengths: Lengths) -> list[Fault]:
    system, user = (turn["content"] for turn in turns)
    faults = []
    if system != prompts.system():
        faults.append(("system_prompt", ""))
    if user.count(IMAGE) != images:
        faults.append(("placeholders", f"{user.count(IMAGE)} placeholders, {images} images"))
    if images and (other := _OTHER_MEDIA.search(user)):
        faults.append(("other_media", other[0]))
    if token := lengths.control_token(user):
        faults.append(("control_token", token))
    return faults


def _reward_faults(row: Mapping[str, Any]) -> list[Fault]:
    gold = (row["reward_model"] or {}).get("ground_truth") or ""
    extra = row["extra_info"] or {}
    options = list(extra.get("options") or [])
    letters = ascii_uppercase[: len(options)]
    if options and gold not in tuple(letters):
        return [("gold_letter", f"{gold!r} of {len(options)} options")]
    faults = []
    if not _rewarded(row, gold, gold):
        faults.append(("gold_unpaid", repr(gold)[:80]))
    # For free answers a number that is not the gold one: no problem here has both primes in its answer.
    wrong = [letter for letter in letters if letter != gold] if options else ["7907" if "7919" in gold else "7919"]
    if any(_rewarded(row, answer, gold) for answer in wrong):
        faults.append(("wrong_paid", repr(gold)[:80]))
    return faults


def _rewarded(row: Mapping[str, Any], answer: str, gold: str) -> bool:
    reply = f"<think>I looked.</think> \\boxed{{{answer}}}"
    return compute_score(row["data_source"], reply, gold, row["extra_info"])["accuracy"] == 1.0
