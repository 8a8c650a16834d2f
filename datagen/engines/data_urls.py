"""Image files as data URLs, each encoded once while the requests that show it follow one another.

Work runs in two threads of its own, off the event loop. The cache is bounded in bytes, so memory does not grow
with the number of images.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from capcurriculum.files.data_url import of_image
from datagen import image_decoding, shown
from datagen.engines.smart_resize import PixelLimits, fitted, new_size
from datagen.shown import MOST_PIXELS

THREADS = 2
JPEG_QUALITY = 95


class DataURLs:
    """Data URLs of image files, for use from one event loop.

    Args:
        limits: what images are resized to; None sends files as they are.
        most_bytes: bound of the cache, for further requests that show the same image.
    """

    def __init__(self, limits: PixelLimits | None, most_bytes: int) -> None:
        self.limits = limits
        self.most_bytes = most_bytes
        self.bytes = 0
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._coming: dict[str, asyncio.Future[bytes]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="encode")

    async def get(self, path: str) -> bytes:
        """The data URL of an image file, in ASCII.

        Raises:
            ImageProblem: the file cannot be read, decoded or resized.
        """
        known = self._known.get(path)
        if known is not None:
            self._known.move_to_end(path)
            return known
        coming = self._coming.get(path)
        if coming is None:
            work = partial(data_url, path, self.limits)
            coming = self._coming[path] = asyncio.get_running_loop().run_in_executor(self._threads, work)
            coming.add_done_callback(partial(self._came, path))
        # Shielded: a request that is cancelled must not take the image away from the others that wait for it.
        return await asyncio.shield(coming)

    def _came(self, path: str, future: "asyncio.Future[bytes]") -> None:
        del self._coming[path]
        if future.cancelled() or future.exception() or len(future.result()) > self.most_bytes:
            return
        self._known[path] = future.result()
        self.bytes += len(future.result())
        while self.bytes > self.most_bytes:
            self.bytes -= len(self._known.popitem(last=False)[1])

    def close(self) -> None:
        """Empty the cache and end the threads."""
        self._known.clear()
        self.bytes = 0
        self._threads.shutdown(wait=True, cancel_futures=True)


def data_url(path: str, limits: PixelLimits | None = None) -> bytes:
    """An image file as a data URL in ASCII; re-encoded where a server would decode the file to another image.

    Raises:
        ImageProblem: the file cannot be read, decoded, shown or resized.
    """
    data = shown.file(image_decoding.file_bytes(Path(path)), served=True)
    if limits is not None:
        data = _within(data, limits)
    return of_image(data)


def _within(data: bytes, limits: PixelLimits) -> bytes:
    """The bytes themselves, or a resized image in its own format where that is JPEG, else PNG."""
    with image_decoding.opened(data, MOST_PIXELS) as image:
        if new_size(*image.size, limits) is None:
            return data
        # The orientation tag stays, so a reader that heeds it sees what it would have seen.
        exif = image.info.get("exif", b"")
        return encoded(fitted(image, limits), str(image.format), exif)


def encoded(image: Image.Image, source_format: str, exif: bytes) -> bytes:
    """An image as a file: JPEG where its source was one, else PNG."""
    file, jpeg = BytesIO(), source_format == "JPEG"
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if jpeg else {"compress_level": 1}
    image.save(file, "JPEG" if jpeg else "PNG", exif=exif, **options)
    return file.getvalue()
