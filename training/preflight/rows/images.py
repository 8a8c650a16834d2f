"""A row's pictures as verl's data set will open them: every pixel decoded, within the limits against image bombs."""

from PIL import Image

from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.shown import LONGEST_RATIO, MOST_PIXELS

_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})  # orientations that exchange width and height


def size(data: bytes, *, upright: bool) -> tuple[int, int]:
    """Width and height after decoding the whole picture; `upright`: its orientation tag is heeded, as `datasets` does.

    Raises:
        ImageProblem: it cannot be decoded, is a bomb, or is too elongated for any processor.
    """
    with image_decoding.opened(data, MOST_PIXELS) as image:
        image.load()
        width, height = image.size
        if upright and image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
    if max(width, height) > LONGEST_RATIO * min(width, height):
        raise image_decoding.ImageProblem(
            Reason.UNREADABLE_IMAGE, f"{width} x {height} pixels: one side is over {LONGEST_RATIO} times the other"
        )
    return width, height


def opened(data: bytes, *, upright: bool) -> Image.Image:
    """The picture itself, decoded.

    Raises:
        ImageProblem: as `size`.
    """
    from PIL import ImageOps

    with image_decoding.opened(data, MOST_PIXELS) as image:
        image.load()
        return ImageOps.exif_transpose(image) if upright else image.copy()
