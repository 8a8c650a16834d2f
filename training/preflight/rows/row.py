"""One row as training data: its turns, its pictures, its reward, its length.

A row's faults are told by a check's name and a detail; the names, and what to do about each, are in `FAULTS`. A fault
of one kind does not hide those of another.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from jinja2 import TemplateError

from capcurriculum import prompts
from datagen.image_decoding import ImageProblem
from training.preflight.rows import images as pictures
from training.preflight.rows.lengths import Count, Lengths
from training.reward import compute_score
from training.stage_files import IMAGE

#: Check of a row -> what is wrong with it and the mend.
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
_OTHER_MEDIA = re.compile("<video>|<audio>")


@dataclass(frozen=True, slots=True)
class RowResult:
    """What is known of a row: (check, detail) of its faults, and its tokens, 0 where a fault kept them uncounted."""

    faults: tuple[tuple[str, str], ...]
    tokens: int = 0
    image_tokens: int = 0


def check(row: Mapping[str, Any], lengths: Lengths, *, upright: bool, exact: bool) -> RowResult:
    """Check one row of a stage file; `upright` as in `pictures.size`, `exact` counts tokens with the pixels."""
    turns = row["prompt"] or []
    if [turn["role"] for turn in turns] != ["system", "user"] or None in (turn["content"] for turn in turns):
        return RowResult((("turns", ", ".join(str(turn["role"]) for turn in turns)),))
    data = [image["bytes"] if image else None for image in row["images"] or []]
    faults = _turn_faults(turns, len(data), lengths) + _reward_faults(row)
    sizes, image_faults = sizes_of(data, upright=upright)
    faults += image_faults
    if any(name in ("placeholders", "other_media", "control_token", "image_missing", "image") for name, _ in faults):
        return RowResult(tuple(faults))
    try:
        found = count(turns, data, sizes, lengths, upright=upright, exact=exact)
    except (ValueError, TypeError, KeyError, IndexError, TemplateError) as error:
        return RowResult((*faults, ("unmeasured", f"{type(error).__name__}: {error}"[:200])))
    return RowResult(tuple(faults), found.tokens, found.image_tokens)


def count(
    turns: Sequence[Mapping[str, str]],
    data: Sequence[bytes | None],
    sizes: Sequence[tuple[int, int]],
    lengths: Lengths,
    *,
    upright: bool,
    exact: bool,
) -> Count:
    """The tokens of a sound row."""
    if not exact:
        return lengths.count(turns, sizes)
    return lengths.count_exactly(turns, [pictures.opened(one, upright=upright) for one in data if one is not None])


def _turn_faults(turns: Sequence[Mapping[str, str]], images: int, lengths: Lengths) -> list[tuple[str, str]]:
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


def sizes_of(data: Sequence[bytes | None], *, upright: bool) -> tuple[list[tuple[int, int]], list[tuple[str, str]]]:
    """Width and height of every picture that can be used, and the faults of the others."""
    sizes, faults = [], []
    for one in data:
        if one is None:
            faults.append(("image_missing", ""))
            continue
        try:
            sizes.append(pictures.size(one, upright=upright))
        except ImageProblem as problem:
            faults.append(("image", problem.detail))
    return sizes, faults


def _reward_faults(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    gold = (row["reward_model"] or {}).get("ground_truth") or ""
    extra = row["extra_info"] or {}
    options = list(extra.get("options") or [])
    letters = ascii_uppercase[: len(options)]
    if options and gold not in tuple(letters):
        return [("gold_letter", f"{gold!r} of {len(options)} options")]
    faults = []
    if not _paid(row, gold, gold):
        faults.append(("gold_unpaid", repr(gold)[:80]))
    others = [letter for letter in letters if letter != gold] if options else [_another(gold)]
    if any(_paid(row, other, gold) for other in others):
        faults.append(("wrong_paid", repr(gold)[:80]))
    return faults


def _paid(row: Mapping[str, Any], answer: str, gold: str) -> bool:
    reply = f"<think>I looked.</think> \\boxed{{{answer}}}"
    return compute_score(row["data_source"], reply, gold, row["extra_info"])["accuracy"] == 1.0


def _another(gold: str) -> str:
    """A number that is not `gold`: no problem of ours has 7919 and 7907, which are primes, for its two answers."""
    return "7919" if "7919" not in gold else "7907"
