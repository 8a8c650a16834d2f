"""The images of benchmarks as files below an evaluation folder, named by their content.

Benchmark images are untrusted: their size is checked before a pixel is decoded, and a file is named by its digest and
its actual format, so no name in a benchmark becomes a path.
"""

import base64
import binascii
from pathlib import Path

from capcurriculum.reasons import Reason
from capcurriculum.rows import bytes_digest
from capcurriculum.tables import write_atomically
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem
from datagen.shown import MOST_PIXELS
from evaluation.results.samples import IMAGES

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff", "MPO": "jpg"}


class ImageStore:
    """The images of one evaluation folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, str] = {}

    def keep(self, data: bytes) -> str:
        """Store the bytes of an image; returns its path below the folder.

        Raises:
            ImageProblem: they are not an image that can be shown.
        """
        digest = bytes_digest(data)
        if digest not in self._kept:
            if len(data) > image_decoding.MAX_BYTES:
                raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{len(data)} bytes, more than {image_decoding.MAX_BYTES}")
            data = shown.file(data)
            with image_decoding.opened(data, MOST_PIXELS) as image:
                name = f"{IMAGES}/{digest}.{_ENDINGS[str(image.format)]}"
                image.load()
            path = self.folder / name
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data)
            self._kept[digest] = name
        return self._kept[digest]


def decoded(text: str) -> bytes:
    """The bytes of a base64 text; raises `ImageProblem` for any other text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageProblem(Reason.UNREADABLE_IMAGE, "the image is no base64") from error
