"""Thumbnails for the page: untrusted images, checked and encoded again as WebP."""

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.rows import digest
from datagen import image_decoding, shown
from datagen.batched import windows

#: The longest side of a thumbnail, in pixels.
SIDE = 384
QUALITY = 72
MAX_PIXELS = 100_000_000
_THREADS = 4
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class RowImage:
    """An image of a row: `key` is its name on the page, `path` is relative to the image folder of its `stage`."""

    key: str
    stage: str
    path: str

    @staticmethod
    def of(stage: str, image_id: str, path: str) -> "RowImage | None":
        """The image of a row; None without one."""
        # A digest, since the image id of a downloaded run is untrusted.
        return RowImage(digest("picture", image_id, path), stage, path) if path else None


def thumbnail(data: bytes) -> bytes:
    """An image file as WebP with no side longer than `SIDE`; raises `ImageProblem` where it cannot be read."""
    from PIL import Image

    with image_decoding.opened(data, MAX_PIXELS) as image:
        image.draft("RGB", (SIDE, SIDE))
        upright = shown.shown(image)
        upright.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        upright.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


def each(wanted: Iterable[RowImage], folders: Mapping[str, Path]) -> Iterator[tuple[RowImage, bytes]]:
    """The thumbnails of the images that can be read, in order, with few of them in memory."""

    def read(image: RowImage) -> bytes | None:
        try:
            path = image_decoding.inside(folders[image.stage], image.path)
            return thumbnail(image_decoding.file_bytes(path))
        except (image_decoding.ImageProblem, KeyError):
            return None

    with ThreadPoolExecutor(_THREADS) as pool:
        for window in windows(wanted, _AHEAD):
            for image, data in zip(window, pool.map(read, window), strict=True):
                if data is not None:
                    yield image, data
