"""Which rows the canary looks at, and the prompts made of them.

A row's own picture stays as it is; another row's, or a blank one, is brought to its size first, so that all prompts of
a row have as many tokens and nothing but the pixels differs between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from training.canary.record import ROWS
from training.canary.rule import BLANK, NONE

#: Rows that are read to find these, where pictures repeat.
_TRIED = 64
_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class Probe:
    """One prompt: the row's messages with the picture of `picture` (a row's number, `BLANK` or `NONE`)."""

    row: int
    picture: int
    messages: list[dict[str, Any]]


def rows_with_pictures(dataset: Any, seed: int, most: int = ROWS) -> list[int]:
    """Places of rows of a verl data set whose first pictures differ, drawn by `seed`; none where no row has any."""
    frame, key = dataset.dataframe, dataset.image_key
    if key not in frame.column_names:
        return []
    column = frame.select_columns([key]).with_format("arrow")[:][key]  # mapped, not read: only lengths are looked at
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    candidates = [place for place, length in enumerate(lengths) if length]
    chosen: dict[bytes, int] = {}
    for place in np.random.default_rng(seed).permutation(candidates)[:_TRIED].tolist():
        picture = first_picture(dataset[place]["raw_prompt"]).convert("RGB").resize((16, 16))
        chosen.setdefault(picture.tobytes(), place)
        if len(chosen) == most:
            break
    return list(chosen.values())


def probes(prompts: Sequence[list[dict[str, Any]]]) -> list[Probe]:
    """Of rows' messages, each row's with every row's picture, a blank one, and none."""
    pictures = {number: first_picture(messages) for number, messages in enumerate(prompts)}
    pictures[BLANK] = Image.new("RGB", (1, 1), _GREY)
    found = []
    for row, messages in enumerate(prompts):
        for number, picture in pictures.items():
            found.append(Probe(row, number, _shown(messages, None if number == row else picture)))
        found.append(Probe(row, NONE, _unshown(messages)))
    return found


def first_picture(messages: Sequence[dict[str, Any]]) -> Image.Image:
    """The first picture of a row's messages, as verl's data set opened it."""
    picture: Image.Image = next(part["image"] for part in _parts(messages) if part["type"] == "image")
    return picture


def _parts(messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message["content"], list):
            yield from message["content"]


def _shown(messages: Sequence[dict[str, Any]], picture: Image.Image | None) -> list[dict[str, Any]]:
    """The messages with every picture replaced, or as they are."""

    def part(one: dict[str, Any]) -> dict[str, Any]:
        if picture is None or one["type"] != "image":
            return dict(one)
        other = picture.convert("RGB").resize(one["image"].size)
        return {name: value for name, value in one.items() if name not in ("bytes", "path")} | {"image": other}

    return _changed(messages, lambda parts: [part(one) for one in parts])


def _unshown(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without their pictures."""
    return _changed(messages, lambda parts: [dict(one) for one in parts if one["type"] != "image"])


def _changed(messages: Sequence[dict[str, Any]], change: Any) -> list[dict[str, Any]]:
    return [
        {
            **message,
            "content": change(message["content"]) if isinstance(message["content"], list) else message["content"],
        }
        for message in messages
    ]
