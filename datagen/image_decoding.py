"""Decode untrusted image files; what cannot be decoded or used is an `ImageProblem` with its reason.

The size is read from the header before any pixel is decoded, so a decompression bomb costs nothing; a path that leaves
the image folder, by `..` or through a link, is refused before the file is opened.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from capcurriculum.reasons import Reason

#: How a Git LFS pointer begins: text that lies where a file should be after a clone without its large files.
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
LFS_MEND = "fetch it with `git lfs pull` in its repository"
#: Smaller than this on a side and a vision tower has nothing to see (Qwen3-VL's merged patch is 32 pixels).
MIN_SIDE = 28
MAX_BYTES = 200_000_000
_SHOWN = 100  # characters of a name in a sentence
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *(["AVIF"] if features.check("avif") else []))


class ImageProblem(Exception):
    """Why an image cannot be used: `reason` and `detail` of its row's verdict."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


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
        raise ImageProblem(
            Reason.MISSING_FILE, f"{name[:_SHOWN]!r} is no usable file name ({error.__class__.__name__})"
        ) from error
    if outside:
        raise ImageProblem(Reason.PATH_ESCAPES, f"{name[:_SHOWN]!r} leads out of the image folder")
    if missing:
        raise ImageProblem(Reason.MISSING_FILE, f"there is no file {name[:_SHOWN]!r} in the image folder")
    return path


def file_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file that is not too large.

    Raises:
        ImageProblem: more bytes than that, or not readable.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{size} bytes, more than {max_bytes}")
        return path.read_bytes()
    except OSError as error:
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"cannot be read: {error.strerror}") from error


@contextmanager
def decoded(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The decoded image, after its size was checked; see `opened`.

    Raises:
        ImageProblem: as `opened`, or too small.
    """
    with opened(data, max_pixels) as image:
        width, height = image.size
        if min(width, height) < MIN_SIDE:
            raise ImageProblem(Reason.IMAGE_TOO_SMALL, f"{width} x {height} pixels, a side under {MIN_SIDE}")
        image.load()
        yield image


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The image, its size checked and not decoded yet; errors of decoding inside the context are ImageProblems too.

    Raises:
        ImageProblem: too many pixels, an unexpected format, not decodable, or a Git LFS pointer to the image.
    """
    if data.startswith(LFS_POINTER):
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"is a Git LFS pointer and not the image itself; {LFS_MEND}")
    try:
        with warnings.catch_warnings():
            # Our own limit is checked below, and faults of a file's metadata do not matter to its pixels.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageProblem(
                        Reason.IMAGE_TOO_LARGE, f"{width} x {height} pixels, more than {max_pixels} in all"
                    )
                yield image
    except Image.DecompressionBombError as error:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, str(error)) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, RuntimeError) as error:
        # RuntimeError is how the AVIF decoder says it.
        # Without the address in memory that Pillow names: the same image gives the same detail each time.
        words = re.sub(r" ?<\S+ object at 0x[0-9a-f]+>", "", str(error))
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"cannot be decoded: {words}") from error
