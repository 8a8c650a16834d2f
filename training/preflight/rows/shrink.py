"""Make an overlong row's pictures smaller, by as little as makes its prompt fit.

The factor is found by the processor's own arithmetic, so whatever limits the model has are met; a picture keeps its
format where that is JPEG and becomes PNG otherwise, and keeps its orientation tag.
"""

from collections.abc import Mapping
from typing import Any

from datagen import image_decoding
from datagen.engines.data_urls import encoded
from datagen.engines.smart_resize import PixelLimits, fitted, smart_size
from datagen.shown import MOST_PIXELS
from training.preflight.rows import images as pictures
from training.preflight.rows.lengths import Lengths

#: Largest area in pixels for each picture of a row.
Fit = tuple[int, ...]
_STEPS = 20  # halvings of the interval of factors: a millionth of an area


def fit(row: Mapping[str, Any], lengths: Lengths, limit: int, *, upright: bool) -> Fit | None:
    """The largest areas at which the row has at most `limit` tokens; None where its text alone is too long."""
    sizes = [pictures.size(image["bytes"], upright=upright) for image in row["images"]]
    least, most = 0.0, 1.0
    best: Fit | None = None
    for _ in range(_STEPS):
        factor = (least + most) / 2
        areas = tuple(max(1, int(width * height * factor)) for width, height in sizes)
        if _tokens(row, areas, sizes, lengths) <= limit:
            best, least = areas, factor
        else:
            most = factor
    return best


def _tokens(row: Mapping[str, Any], areas: Fit, sizes: list[tuple[int, int]], lengths: Lengths) -> int:
    small = [_size(size, area) for size, area in zip(sizes, areas, strict=True)]
    return lengths.count(row["prompt"], small).tokens


def _size(size: tuple[int, int], area: int) -> tuple[int, int]:
    return size if size[0] * size[1] <= area else smart_size(*size, PixelLimits(1, area, 1))


def shrunk(row: Mapping[str, Any], areas: Fit, lengths: Lengths, limit: int, *, upright: bool) -> list[bytes]:
    """The row's pictures within `areas`, encoded.

    Raises:
        ValueError: the row is still too long, which is a fault of this module.
    """
    small = [_within(image["bytes"], area) for image, area in zip(row["images"], areas, strict=True)]
    tokens = lengths.count(row["prompt"], [pictures.size(one, upright=upright) for one in small]).tokens
    if tokens > limit:
        raise ValueError(f"{tokens} tokens after downscaling, more than {limit}")
    return small


def _within(data: bytes, area: int) -> bytes:
    with image_decoding.opened(data, MOST_PIXELS) as image:
        if image.size[0] * image.size[1] <= area:
            return data
        exif = image.info.get("exif", b"")
        return encoded(fitted(image, PixelLimits(1, area, 1)), str(image.format), exif)
