"""Image files as data URLs."""

import base64

#: The first bytes of a format, and its media type.
_TYPES = {
    b"\xff\xd8": b"image/jpeg",
    b"\x89P": b"image/png",
    b"RI": b"image/webp",
    b"GI": b"image/gif",
    b"BM": b"image/bmp",
    b"II": b"image/tiff",
    b"MM": b"image/tiff",
}


def of_image(data: bytes) -> bytes:
    """The bytes of an image file as a data URL in ASCII, its media type by its first bytes."""
    return b"data:%b;base64,%b" % (_TYPES.get(data[:2], b"application/octet-stream"), base64.b64encode(data))
