"""Image files of the kinds that libraries show differently, each with the picture that all have to show."""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

from tests.support.pictures import noise

#: Multiples of 32, so that a processor that rounds sides leaves them alone.
SIZE = (96, 64)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Odd = tuple[str, bytes, Image.Image]


def base(seed: int = 1) -> Image.Image:
    return noise(seed, SIZE[0]).resize(SIZE)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def naive(data: bytes) -> Image.Image:
    """What a program sees that knows of no orientation, transparency or width of numbers."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def turned() -> Iterator[Odd]:
    """All orientations as tags of three formats, and of TIFF, which Pillow turns by itself."""
    for kind, options in {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}}.items():
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            data = saved(base(), kind, exif=exif, **options)
            stored = naive(data)
            yield f"{kind} turned {orientation}", data, _turned(stored, orientation)
    for orientation in (3, 6):
        yield (
            f"TIFF turned {orientation}",
            saved(base(), "TIFF", tiffinfo={274: orientation}),
            _turned(base(), orientation),
        )


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def clear() -> Iterator[Odd]:
    """A drawing on a ground that is clear, half clear, or not clear at all."""
    alpha = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))
    rgba = base().convert("RGBA")
    rgba.putalpha(Image.fromarray(alpha))
    white = _on_white(np.asarray(base()), alpha)
    yield "PNG RGBA", saved(rgba, "PNG"), white
    yield "WEBP RGBA", saved(rgba, "WEBP", lossless=True, exact=True), white
    grey = base().convert("L")
    both = Image.merge("LA", (grey, Image.fromarray(alpha)))
    yield "PNG LA", saved(both, "PNG"), _on_white(np.asarray(grey.convert("RGB")), alpha)
    palette = base().quantize(16)
    seen = np.asarray(palette) != 3
    yield (
        "PNG P clear",
        saved(palette, "PNG", transparency=3),
        _on_white(np.asarray(palette.convert("RGB")), seen * 255),
    )
    yield (
        "GIF P clear",
        saved(palette, "GIF", transparency=3),
        _on_white(np.asarray(palette.convert("RGB")), seen * 255),
    )
    dark = np.asarray(grey).copy()
    dark[:, :20] = 7
    shown = (dark != 7) * 255
    yield (
        "PNG L clear",
        saved(Image.fromarray(dark), "PNG", transparency=7),
        _on_white(np.stack([dark] * 3, axis=-1), shown),
    )
    coloured = np.asarray(base()).copy()
    coloured[:, :20] = (1, 2, 3)
    seen = (coloured != (1, 2, 3)).any(axis=-1) * 255
    yield "PNG RGB clear", saved(Image.fromarray(coloured), "PNG", transparency=(1, 2, 3)), _on_white(coloured, seen)
    yield "PNG RGBA opaque", saved(base().convert("RGBA"), "PNG"), base()


def _on_white(colours: np.ndarray[Any, Any], alpha: np.ndarray[Any, Any]) -> Image.Image:
    part = alpha.astype(float)[..., None] / 255
    return Image.fromarray((colours * part + 255 * (1 - part)).round().astype(np.uint8))


def wide() -> Iterator[Odd]:
    """More than 8 bits a channel, or one."""
    grey = np.asarray(base().convert("L"))
    expected = Image.fromarray(grey).convert("RGB")
    for depth in (8, 10, 12, 14, 16):
        values = (grey.astype(np.uint32) * ((1 << depth) - 1) + 254) // 255
        values[0, 0], grey_most = (1 << depth) - 1, grey.copy()
        grey_most[0, 0] = 255
        most = Image.fromarray(grey_most).convert("RGB")
        yield f"PNG {depth} bits in 16", saved(Image.fromarray(values.astype(np.uint16)), "PNG"), most
        yield f"TIFF {depth} bits in 32", saved(Image.fromarray(values.astype(np.int32)), "TIFF"), most
    bits = base().convert("1")
    yield "PNG 1 bit", saved(bits, "PNG"), bits.convert("RGB")
    yield "TIFF 1 bit", saved(bits, "TIFF"), bits.convert("RGB")
    yield "PNG grey", saved(Image.fromarray(grey), "PNG"), expected


def others() -> Iterator[Odd]:
    """Other colours, further frames, other containers."""
    inks = base().convert("CMYK")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, options in {"CMYK": {}, "CMYK with a profile": {"icc_profile": profile}}.items():
        data = saved(inks, "JPEG", quality=95, **options)
        yield f"JPEG {name}", data, naive(data)
        yield f"TIFF {name}", saved(inks, "TIFF", **options), inks.convert("RGB")
    data = saved(base(), "JPEG", quality=95, icc_profile=profile)
    yield "JPEG with a profile", data, naive(data)
    data = saved(base().convert("L"), "JPEG")
    yield "JPEG grey", data, naive(data)
    data = saved(base(), "MPO", save_all=True, append_images=[base(2)], quality=95)
    yield "MPO", data, naive(data)
    palette = base().quantize(16)
    more = [base(2).quantize(16)]
    yield "PNG P", saved(palette, "PNG"), palette.convert("RGB")
    yield "GIF", saved(palette, "GIF"), palette.convert("RGB")
    yield "GIF of frames", saved(palette, "GIF", save_all=True, append_images=more), palette.convert("RGB")
    yield "PNG of frames", saved(base(), "PNG", save_all=True, append_images=[base(2)]), base()
    yield "WEBP of frames", saved(base(), "WEBP", save_all=True, append_images=[base(2)], lossless=True), base()
    yield "TIFF of pages", saved(base(), "TIFF", save_all=True, append_images=[base(2)]), base()
    yield "TIFF packed", saved(base(), "TIFF", compression="tiff_lzw"), base()
    yield "TIFF LAB", saved(_lab(), "TIFF"), _lab_shown()
    yield "BMP", saved(base(), "BMP"), base()
    if features.check("avif"):
        data = saved(base(), "AVIF", quality=100, subsampling="4:4:4")
        yield "AVIF", data, naive(data)


def _lab() -> Image.Image:
    return Image.merge("LAB", base().split())


def _lab_shown() -> Image.Image:
    return naive(saved(_lab(), "TIFF"))


@cache
def every() -> list[Odd]:
    """All of them."""
    return [*turned(), *clear(), *wide(), *others()]
