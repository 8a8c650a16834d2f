"""Downscale an overlong row's images by as little as makes its prompt fit.

The factor is found with the processor's own arithmetic, so the model's limits hold. JPEG stays JPEG, other formats
become PNG, and the orientation tag is kept.
"""

from collections.abc import Mapping
from typing import Any

from datagen import image_decoding
from datagen.engines.data_urls import encoded
from datagen.engines.smart_resize import PixelLimits, fitted, smart_size
from datagen.shown import MOST_PIXELS
from training.preflight.rows.lengths import Lengths
from training.preflight.rows.row import image_size

#: The largest area of each image of a row, in pixels.
Fit = tuple[int, ...]
_STEPS = 20  # of the bisection: a millionth of an area


def fit(row: Mapping[str, Any], lengths: Lengths, limit: int, *, upright: bool) -> Fit | None:
    """The largest areas at which the row has at most `limit` tokens; None if its text alone is too long."""
    sizes = [image_size(image["bytes"], upright=upright) for image in row["images"]]
    least, most = 0.0, 1.0
    best: Fit | None = None
    for _ in range(_STEPS):
        factor = (least + most) / 2
        areas = tuple(max(1, int(width * height * factor)) for width, height in sizes)
        small = [
            size if size[0] * size[1] <= area else smart_size(*size, PixelLimits(1, area, 1))
            for size, area in zip(sizes, areas, strict=True)
        ]
        if lengths.count(row["prompt"], small).tokens <= limit:
            best, least = areas, factor
        else:
            most = factor
    return best


def shrunk(row: Mapping[str, Any], areas: Fit, lengths: Lengths, limit: int, *, upright: bool) -> list[bytes]:
    """The row's images downscaled to `areas`, encoded.

    Raises:
        ValueError: the row is still too long, which is a bug.
    """
    small = [_within(image["bytes"], area) for image, area in zip(row["images"], areas, strict=True)]
    tokens = lengths.count(row["prompt"], [image_size(one, upright=upright) for one in small]).tokens
    if tokens > limit:
        raise ValueError(f"{tokens} tokens after downscaling, more than {limit}")
    return small


def _within(data: bytes, area: int) -> bytes:
    with image_decoding.opened(data, MOST_PIXELS) as image:
        if image.size[0] * image.size[1] <= area:
            return data
        exif = image.info.get("exif", b"")
        return encoded(fitted(image, PixelLimits(1, area, 1)), str(image.format), exif)
