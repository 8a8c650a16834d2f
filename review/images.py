"""Images for reviewers: decoded with limits, turned upright, re-encoded as WebP without metadata.

An image is only ever scaled down, to a maximal side and a maximal length of its data URL.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datagen import image_decoding, shown

if TYPE_CHECKING:
    from PIL import Image

#: Argilla 2.8's limit on the characters of a data URL.
MOST_CHARACTERS = 5_000_000
#: The longest side, in pixels.
SIDE = 1_280
_MAX_PIXELS = 100_000_000
_QUALITY = 90
_MEDIA_TYPE = "image/webp"


@dataclass(frozen=True, slots=True)
class ReviewImage:
    """WebP bytes and the size in pixels."""

    data: bytes
    width: int
    height: int

    @property
    def url(self) -> str:
        """The image as a data URL."""
        return f"data:{_MEDIA_TYPE};base64,{base64.b64encode(self.data).decode()}"


def picture(folder: Path, name: str, side: int = SIDE, most_characters: int = MOST_CHARACTERS) -> ReviewImage:
    """The image `name` below `folder`, with sides of at most `side` pixels and a data URL below `most_characters`.

    Raises:
        ImageProblem: it is missing, outside of the folder, too large to decode, or not decodable.
    """
    from PIL import Image

    path = image_decoding.inside(folder, name)
    with image_decoding.opened(image_decoding.file_bytes(path), _MAX_PIXELS) as image:
        image.draft("RGB", (side, side))
        plain = shown.shown(image)
        plain.thumbnail((side, side), Image.Resampling.LANCZOS)
        while True:
            found = _encoded(plain)
            if len(found.url) < most_characters or min(plain.size) <= image_decoding.MIN_SIDE:
                return found
            plain = plain.resize((max(1, plain.width * 3 // 4), max(1, plain.height * 3 // 4)))


def _encoded(plain: "Image.Image") -> ReviewImage:
    buffer = io.BytesIO()
    plain.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return ReviewImage(buffer.getvalue(), *plain.size)
