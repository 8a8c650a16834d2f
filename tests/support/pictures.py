"""Small pictures with content, and their files."""

import io
from typing import Any

import numpy as np
from PIL import Image


def noise(seed: int, side: int = 160) -> Image.Image:
    """Soft random patches: a picture that no other seed's looks like."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    return _file(image, "PNG")


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """The picture as a JPEG file."""
    return _file(image, "JPEG", **options)


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
