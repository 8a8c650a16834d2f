"""Pictures as reviewers get them: read with every care, turned upright, written anew without their metadata.

A picture is only made smaller, and only where it is larger than a screen shows or than a server takes; the digest of
the original goes with it.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datagen import image_decoding, shown

if TYPE_CHECKING:
    from PIL import Image

#: Argilla 2.8 takes data URLs of at most so many characters.
MOST_CHARACTERS = 5_000_000
#: The longest side, in pixels.
SIDE = 1_280
_MAX_PIXELS = 100_000_000
_QUALITY = 90
_MEDIA_TYPE = "image/webp"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's WebP bytes and size in pixels."""

    data: bytes
    width: int
    height: int

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:{_MEDIA_TYPE};base64,{base64.b64encode(self.data).decode()}"


def picture(folder: Path, name: str, side: int = SIDE, most_characters: int = MOST_CHARACTERS) -> Picture:
    """The picture `name` below `folder`, no side longer than `side`, its data URL no longer than `most_characters`.

    Raises:
        ImageProblem: it is missing, leads out of the folder, is too large to decode, or cannot be decoded.
    """
    from PIL import Image

    path = image_decoding.inside(folder, name)
    with image_decoding.opened(image_decoding.file_bytes(path), _MAX_PIXELS) as image:
        image.draft("RGB", (side, side))
        plain = shown.shown(image)
        plain.thumbnail((side, side), Image.Resampling.LANCZOS)
        while True:
            found = _written(plain)
            if len(found.url) < most_characters or min(plain.size) <= image_decoding.MIN_SIDE:
                return found
            plain = plain.resize((max(1, plain.width * 3 // 4), max(1, plain.height * 3 // 4)))


def _written(plain: "Image.Image") -> Picture:
    buffer = io.BytesIO()
    plain.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return Picture(buffer.getvalue(), *plain.size)
