"""The images in a benchmark's cells, in the formats of data sets.

VLMEvalKit's TSVs hold base64, a printed list of base64, or the index of another row with the same image; `datasets`
holds bytes; JSON lines name a file. Only base64 is decoded here.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.image_decoding import MAX_BYTES, ImageProblem

ImageBytes = Callable[[], bytes]
#: VLMEvalKit takes shorter texts as an index and not as base64.
_INDEX_LENGTH = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{65,}")
_NAME = re.compile(r"\.(?:jpe?g|png|webp|gif|bmp|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cells:
    """A reader of cells, whose file names are relative to `folder`."""

    folder: Path

    def images(self, value: object) -> Iterator[ImageBytes]:
        """The images of a cell, as functions that return the file's bytes or raise `ImageProblem`."""
        match value:
            case bytes() as data:
                yield lambda: data
            case {"bytes": bytes() as data}:
                yield lambda: data
            case {"path": str() as name} | str(name):
                yield from self._written(name)
            case list() | tuple():
                for one in value:
                    yield from self.images(one)

    def _written(self, text: str) -> Iterator[ImageBytes]:
        if _NAME.search(text) and len(text) < 1000:
            yield lambda: image_decoding.file_bytes(image_decoding.inside(self.folder, text))
        elif text.startswith("["):
            for part in _BASE64.findall(text):
                yield _decoder(part)
        elif len(text) > _INDEX_LENGTH:
            yield _decoder(text.removeprefix("data:").rpartition(",")[2])


def _decoder(text: str) -> ImageBytes:
    def decode() -> bytes:
        if len(text) > MAX_BYTES * 4 // 3:
            raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"more than {MAX_BYTES} bytes")
        try:
            return base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError) as error:
            raise ImageProblem(Reason.UNREADABLE_IMAGE, f"is no base64: {error}") from error

    return decode
