"""Open image files that nobody vouches for.

The size is read from the header before any pixel is decoded, so a decompression bomb costs nothing; a path that leaves
the image folder, by `..` or through a link, is refused before the file is opened.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from capcurriculum.reasons import Reason

#: Smaller than this on a side and a vision tower has nothing to see (Qwen3-VL's merged patch is 32 pixels).
MIN_SIDE = 28
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


class ImageProblem(Exception):
    """Why one image cannot be used; becomes a verdict, never a crash."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """The file's own bytes and its size in pixels."""

    data: bytes
    width: int
    height: int


def inside(folder: Path, name: str) -> Path:
    """The file `name` below `folder`.

    Raises:
        ImageProblem: it would lie outside, or is not there.
    """
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        outside = not path.is_relative_to(root)
        missing = not path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise ImageProblem(Reason.MISSING_FILE, f"{name!r} is no usable file name ({error})") from error
    if outside:
        raise ImageProblem(Reason.PATH_ESCAPES, f"{name!r} leads out of the image folder")
    if missing:
        raise ImageProblem(Reason.MISSING_FILE, f"there is no file {name!r} in the image folder")
    return path


def read(path: Path, max_pixels: int, max_bytes: int = 200_000_000) -> CheckedImage:
    """Read and fully decode an image once.

    Raises:
        ImageProblem: too many bytes or pixels, too small, an unexpected format, or not decodable.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{size} bytes, more than {max_bytes}")
        data = path.read_bytes()
    except OSError as error:
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"cannot be read: {error.strerror}") from error
    width, height = _decode(data, max_pixels)
    return CheckedImage(data, width, height)


def _decode(data: bytes, max_pixels: int) -> tuple[int, int]:
    try:
        with warnings.catch_warnings():
            # Our own limit is checked below; Pillow's warning about large images would only repeat it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageProblem(
                        Reason.IMAGE_TOO_LARGE, f"{width} x {height} pixels, more than {max_pixels} in all"
                    )
                if min(width, height) < MIN_SIDE:
                    raise ImageProblem(Reason.IMAGE_TOO_SMALL, f"{width} x {height} pixels, a side under {MIN_SIDE}")
                image.load()
    except Image.DecompressionBombError as error:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, str(error)) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"cannot be decoded: {error}") from error
    return width, height
