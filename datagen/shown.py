"""The image that a file shows: first frame, upright, on white, 8 bits of RGB; models, cards and reviewers all get it.

Libraries differ in what they do with an orientation tag, a transparent ground or 16 bits a channel, so a model would be
asked about another image than it is trained on. Files that are written for others are such that every library decodes
them to this image.
"""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.image_decoding import ImageProblem

#: A last guard against bombs; a source has its own, lower limit and checked every image against it.
MOST_PIXELS = 256_000_000
#: Image processors refuse images more elongated than this.
LONGEST_RATIO = 200
_ORIENTATION = 0x0112
#: Bits a channel that cameras and scanners write into wider numbers.
_DEPTHS = (8, 10, 12, 14, 16)
#: Modes whose conversion to RGB has one meaning.
_SIMPLE = frozenset({"RGB", "L", "P", "1"})
#: Formats that every server of models takes.
_SERVED = frozenset({"JPEG", "PNG", "WEBP"})


def shown(image: Image.Image) -> Image.Image:
    """An opened image as it is shown, in mode RGB.

    Raises:
        ImageProblem: its numbers have no scale that could be known (`unreadable_pixels`).
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        return _keyed(_narrow(upright), upright).convert("RGB")
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    clear = upright.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _keyed(narrow: Image.Image, wide: Image.Image) -> Image.Image:
    """The narrowed image, white where the wide one has the number that stands for a clear ground."""
    key = wide.info.get("transparency")
    if isinstance(key, int):
        narrow.paste(255, mask=Image.fromarray((np.asarray(wide) == key).astype(np.uint8) * 255))
    return narrow


def _narrow(image: Image.Image) -> Image.Image:
    """8 bits of an image of wider whole numbers, by the least usual depth that holds its largest."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" or low < 0 or high >= 1 << _DEPTHS[-1] or not np.isfinite(high):
        detail = f"holds numbers from {low:g} to {high:g}, and nothing says which is white; save it with 8 bits"
        raise ImageProblem(Reason.UNREADABLE_PIXELS, detail)
    most = next((1 << depth) - 1 for depth in _DEPTHS if high < 1 << depth)
    return Image.fromarray((values.astype(np.uint32) * 255 // most).astype(np.uint8))


def image_id(image: Image.Image) -> str:
    """The id of a shown image in rows: the first 16 hex digits of the sha256 of its size and pixels.

    Copies under another orientation tag, in another lossless format or with other metadata are one image.
    """
    return sha256(b"%d x %d\n" % image.size + image.tobytes()).hexdigest()[:16]


def checked(data: bytes, max_pixels: int) -> Image.Image:
    """The usable image that an image file's bytes show.

    Raises:
        ImageProblem: too many pixels, too small, an unexpected format, not decodable, or no scale of numbers that could
            be known.
    """
    with image_decoding.decoded(data, max_pixels) as image:
        return shown(image)


def read(path: str | Path) -> Image.Image:
    """The image that a file shows, in mode RGB, for a model in this process.

    Raises:
        ImageProblem: it cannot be read, decoded or shown, or is too elongated for any image processor.
    """
    with image_decoding.opened(image_decoding.file_bytes(Path(path)), MOST_PIXELS) as image:
        made = shown(image)
    short, long = sorted(made.size)
    if long > LONGEST_RATIO * short:
        detail = f"{made.width} x {made.height} pixels: one side is more than {LONGEST_RATIO} times the other"
        raise ImageProblem(Reason.UNREADABLE_IMAGE, detail)
    return made


def file(data: bytes, *, served: bool = False) -> bytes:
    """The bytes of a file that every library decodes to the image: `data` itself where that holds, else a PNG.

    Args:
        data: an image file.
        served: whether a server of models opens it, and not Pillow; it is given fewer formats and no further frames.

    Raises:
        ImageProblem: it cannot be decoded or shown.
    """
    with image_decoding.opened(data, MOST_PIXELS) as image:
        if _plain(image) and not (served and _foreign(image)):
            return data
        buffer = BytesIO()
        shown(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _plain(image: Image.Image) -> bool:
    if image.getexif().get(_ORIENTATION, 1) != 1 or image.format == "AVIF":  # which many a Pillow cannot read
        return False
    if image.has_transparency_data:
        return image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
    return image.mode in _SIMPLE or (image.mode == "CMYK" and image.format in ("JPEG", "MPO"))


def _foreign(image: Image.Image) -> bool:
    if image.format == "MPO":
        return image.mode not in _SIMPLE  # to a server it is a JPEG
    return image.mode not in {*_SIMPLE, "RGBA"} or image.format not in _SERVED or getattr(image, "n_frames", 1) > 1
