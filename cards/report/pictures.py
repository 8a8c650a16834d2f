"""Small pictures for the page: read with every care for files that nobody vouches for, and written anew as WebP."""

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from capcurriculum.rows import digest
from datagen import image_decoding, shown

#: The longest side, in pixels: enough to judge most questions, small enough for twenty thousand of them.
SIDE = 384
QUALITY = 72
MAX_PIXELS = 100_000_000
_THREADS = 4
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a row: `key` names it on the page, `path` is relative to the folder of its `stage`."""

    key: str
    stage: str
    path: str

    @staticmethod
    def of(stage: str, image_id: str, path: str) -> "Picture | None":
        """The picture of a row; None if it has none."""
        # The page's name for it is our own hash, whatever a run from elsewhere calls the image.
        return Picture(digest("picture", image_id, path), stage, path) if path else None


def small(picture: Picture, folders: Mapping[str, Path]) -> bytes | None:
    """The picture as a WebP file no side of which exceeds `SIDE`; None where it cannot be read."""
    try:
        path = image_decoding.inside(folders[picture.stage], picture.path)
        return shrunk(image_decoding.file_bytes(path))
    except (image_decoding.ImageProblem, KeyError):
        return None


def shrunk(data: bytes) -> bytes:
    """A picture's file as `small` gives it.

    Raises:
        ImageProblem: it cannot be read.
    """
    from PIL import Image

    with image_decoding.opened(data, MAX_PIXELS) as image:
        image.draft("RGB", (SIDE, SIDE))
        upright = shown.shown(image)
        upright.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        upright.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


def each(wanted: Iterable[Picture], folders: Mapping[str, Path]) -> Iterator[tuple[Picture, bytes]]:
    """Every picture that can be read, in order, a few of them in memory at a time."""
    pictures = iter(wanted)
    with ThreadPoolExecutor(_THREADS) as pool:
        while window := list(islice(pictures, _AHEAD)):
            for picture, data in zip(window, pool.map(lambda p: small(p, folders), window), strict=True):
                if data is not None:
                    yield picture, data
