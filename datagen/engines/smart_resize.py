"""The size to which a backbone resizes an image, computed before the image is sent.

This is the `smart_resize` of the Qwen-VL image processors (transformers, `models/qwen2_vl`): both sides become
multiples of patch x merge, their product stays between two limits, and the shape is kept as nearly as that allows.
"""

import math
from dataclasses import dataclass

from PIL import Image

from capcurriculum.reasons import Reason
from capcurriculum.recipe.models import ModelSection
from datagen.image_decoding import ImageProblem
from datagen.shown import LONGEST_RATIO


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """Bounds on the total pixels of an image, and the number of pixels that both sides must be a multiple of."""

    least: int
    most: int
    multiple: int

    @classmethod
    def of(cls, section: ModelSection) -> "PixelLimits | None":
        """The limits of a recipe's model; None where it sets neither bound."""
        if section.min_pixels is None and section.max_pixels is None:
            return None
        return cls(section.min_pixels or 1, section.max_pixels or 2**62, section.pixel_multiple)


def smart_size(width: int, height: int, limits: PixelLimits) -> tuple[int, int]:
    """Width and height in pixels that the backbone resizes to.

    Raises:
        ImageProblem: the image is more than 200 times as long as wide.
    """
    if max(width, height) > LONGEST_RATIO * min(width, height):
        detail = f"{width} x {height} pixels: one side is more than {LONGEST_RATIO} times the other"
        raise ImageProblem(Reason.UNREADABLE_IMAGE, detail)
    multiple = limits.multiple
    sides = [round(side / multiple) * multiple for side in (width, height)]
    if math.prod(sides) > limits.most:
        shrink = math.sqrt(width * height / limits.most)
        sides = [max(multiple, math.floor(side / shrink / multiple) * multiple) for side in (width, height)]
    elif math.prod(sides) < limits.least:
        grow = math.sqrt(limits.least / (width * height))
        sides = [math.ceil(side * grow / multiple) * multiple for side in (width, height)]
    return sides[0], sides[1]


def new_size(width: int, height: int, limits: PixelLimits | None) -> tuple[int, int] | None:
    """The size to resize to; None within the limits, where rounding is left to the backbone."""
    if limits is None:
        return None
    rounded = math.prod(round(side / limits.multiple) * limits.multiple for side in (width, height))
    return None if limits.least <= rounded <= limits.most else smart_size(width, height, limits)


def fitted(image: Image.Image, limits: PixelLimits | None) -> Image.Image:
    """The image itself, or a bicubic copy within the limits."""
    size = new_size(*image.size, limits)
    if size is None:
        return image
    if image.mode not in ("RGB", "L"):
        image = image.convert("RGBA" if image.mode in ("P", "LA", "PA", "RGBA") else "RGB")
    return image.resize(size, Image.Resampling.BICUBIC)
