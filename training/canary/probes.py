"""Which rows the canary compares, and the prompts made from them.

Another row's image, or a blank one, is first resized to the row's own, so all prompts of a row have the same number of
tokens and differ only in pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from training.canary.record import ROWS
from training.canary.rule import BLANK, NONE

#: Rows that are read at most to find rows with different images.
_TRIED = 64
_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class Probe:
    """One prompt: the row's messages with the image `picture` (the number of a row, `BLANK` or `NONE`)."""

    row: int
    picture: int
    messages: list[dict[str, Any]]


def rows_with_pictures(dataset: Any, seed: int, most: int = ROWS) -> list[int]:
    """Indices of up to `most` rows of a verl dataset whose first images differ, drawn by `seed`; [] if none has any."""
    frame, key = dataset.dataframe, dataset.image_key
    if key not in frame.column_names:
        return []
    column = frame.select_columns([key]).with_format("arrow")[:][key]  # memory-mapped: only lengths are read
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    candidates = [place for place, length in enumerate(lengths) if length]
    chosen: dict[bytes, int] = {}
    for place in np.random.default_rng(seed).permutation(candidates)[:_TRIED].tolist():
        thumbnail = first_picture(dataset[place]["raw_prompt"]).convert("RGB").resize((16, 16))
        chosen.setdefault(thumbnail.tobytes(), place)
        if len(chosen) == most:
            break
    return list(chosen.values())


def probes(prompts: Sequence[list[dict[str, Any]]]) -> list[Probe]:
    """For each of the rows' messages: with every row's image, with a blank one, and without images."""
    images = {number: first_picture(messages) for number, messages in enumerate(prompts)}
    images[BLANK] = Image.new("RGB", (1, 1), _GREY)
    found = []
    for row, messages in enumerate(prompts):
        for number, image in images.items():
            found.append(Probe(row, number, _replaced(messages, None if number == row else image)))
        without = _changed(messages, lambda parts: [dict(part) for part in parts if part["type"] != "image"])
        found.append(Probe(row, NONE, without))
    return found


def first_picture(messages: Sequence[dict[str, Any]]) -> Image.Image:
    """The first image of a row's messages, as verl's dataset decoded it."""
    image: Image.Image = next(part["image"] for part in _parts(messages) if part["type"] == "image")
    return image


def _parts(messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message["content"], list):
            yield from message["content"]


def _replaced(messages: Sequence[dict[str, Any]], image: Image.Image | None) -> list[dict[str, Any]]:
    """The messages with every image replaced; unchanged copies for None."""

    def part(one: dict[str, Any]) -> dict[str, Any]:
        if image is None or one["type"] != "image":
            return dict(one)
        other = image.convert("RGB").resize(one["image"].size)
        return {name: value for name, value in one.items() if name not in ("bytes", "path")} | {"image": other}

    return _changed(messages, lambda parts: [part(one) for one in parts])


def _changed(messages: Sequence[dict[str, Any]], change: Callable[[list[Any]], list[Any]]) -> list[dict[str, Any]]:
    return [
        message | ({"content": change(message["content"])} if isinstance(message["content"], list) else {})
        for message in messages
    ]
