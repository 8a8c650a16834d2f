"""Images of scenes, made so that seeing stays imperfect.

Colours jitter until neighbours such as red, orange and brown overlap, the four sizes share their borders, small shapes
lose their corners, and strips of background hide parts of objects. `difficulty` scales all of it: 0 is a clean drawing,
1 the world as it is shipped. What is drawn depends on scene, noise seed, size and difficulty only.
"""

import math
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datagen.micro.scenes import Scene, Thing, named_seed

#: Side in pixels of the world's own images; other sizes are rescaled from the same drawing.
SIDE = 96
_CELL = SIDE // 3
#: Drawn larger and scaled down, for smooth edges.
_OVERSAMPLE = 2

_RGB: dict[str, tuple[int, int, int]] = {
    "red": (205, 40, 40),
    "orange": (235, 125, 35),
    "brown": (145, 80, 40),
    "yellow": (235, 205, 50),
    "green": (50, 150, 65),
    "blue": (50, 80, 205),
    "purple": (130, 60, 180),
    "white": (240, 238, 232),
}
#: Radius ranges in pixels; contiguous, so the border cases look alike.
_RADII: dict[str, tuple[float, float]] = {
    "tiny": (4.0, 6.0),
    "small": (6.0, 8.5),
    "medium": (8.5, 11.0),
    "large": (11.0, 13.5),
}
_COLOUR_JITTER = 24.0
_PIXEL_NOISE = 14.0
_PLACE_JITTER = 2.5
_OCCLUDED = 0.35
#: Of the object's height or width, at most this much is hidden.
_HIDDEN = 0.45


def _outline(shape: str, x: float, y: float, r: float) -> list[tuple[float, float]]:
    """The corners of a shape that fits a circle of about radius `r`."""
    if shape == "square":
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "triangle":
        return [(x, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "diamond":
        return [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
    if shape == "cross":
        w = 0.36 * r
        quarter = [(w, -r), (w, -w), (r, -w)]
        half = quarter + [(-dy, dx) for dx, dy in quarter]
        arms = half + [(-dx, -dy) for dx, dy in half]
        return [(x + dx, y + dy) for dx, dy in arms]
    corners = 10 if shape == "star" else 24
    radii = (r, 0.5 * r) if shape == "star" else (r, r)
    turn = 2 * math.pi / corners
    return [(x + radii[i % 2] * math.sin(i * turn), y - radii[i % 2] * math.cos(i * turn)) for i in range(corners)]


def _shade(rgb: tuple[int, ...], rng: Random, spread: float) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, round(rng.gauss(value, spread)))) for value in rgb)
    return r, g, b


def _radius(size: str, rng: Random, difficulty: float) -> float:
    """Clean drawings take the middle of the range, hard ones all of it."""
    low, high = _RADII[size]
    reach = min(1.0, difficulty) * (high - low) / 2
    return (low + high) / 2 + rng.uniform(-reach, reach)


def _draw_thing(
    draw: ImageDraw.ImageDraw, thing: Thing, ground: tuple[int, int, int], rng: Random, difficulty: float
) -> None:
    r = _radius(thing.size, rng, difficulty)
    shake = _PLACE_JITTER * difficulty
    x = (thing.cell % 3 + 0.5) * _CELL + rng.uniform(-shake, shake)
    y = (thing.cell // 3 + 0.5) * _CELL + rng.uniform(-shake, shake)
    shade = _shade(_RGB[thing.colour], rng, _COLOUR_JITTER * difficulty)
    draw.polygon([(_OVERSAMPLE * a, _OVERSAMPLE * b) for a, b in _outline(thing.shape, x, y, r)], fill=shade)
    if rng.random() < _OCCLUDED * difficulty:
        depth = 2 * r * rng.uniform(0.1, _HIDDEN)
        box = [x - r - 1, y - r - 1, x + r + 1, y + r + 1]
        side = rng.randrange(4)
        # Cut the strip from one side: keep that side of the box, move the opposite one.
        box[(side + 2) % 4] = box[side] + (depth + 1 if side < 2 else -depth - 1)
        draw.rectangle([_OVERSAMPLE * value for value in box], fill=_shade(ground, rng, 6.0))


def pixels(scene: Scene, noise: int = 0, difficulty: float = 1.0) -> NDArray[np.uint8]:
    """The image as an array of shape (96, 96, 3)."""
    rng = named_seed("render", scene.seed, noise)
    grey = rng.randint(70, 150) if difficulty > 0 else 110
    ground = _shade((grey, grey, grey), rng, 8.0 * difficulty)
    image = Image.new("RGB", (SIDE * _OVERSAMPLE, SIDE * _OVERSAMPLE), ground)
    draw = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw_thing(draw, thing, ground, rng, difficulty)
    drawn = np.asarray(image.reduce(_OVERSAMPLE), dtype=np.float32)
    texture = np.random.Generator(np.random.PCG64(rng.getrandbits(63)))
    grain = texture.standard_normal(drawn.shape, dtype=np.float32)
    # A coarse layer beside the fine one: without it, averaging over a patch would remove all the noise.
    coarse = texture.standard_normal((SIDE // 8, SIDE // 8, 3), dtype=np.float32).repeat(8, axis=0).repeat(8, axis=1)
    noisy = drawn + _PIXEL_NOISE * difficulty * (grain + 0.6 * coarse)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def render(scene: Scene, noise: int = 0, size: int = SIDE, difficulty: float = 1.0) -> Image.Image:
    """The image as an RGB image of `size` by `size` pixels; another `noise` is another image of the same scene."""
    image = Image.fromarray(pixels(scene, noise, difficulty))
    return image if size == SIDE else image.resize((size, size), Image.Resampling.BICUBIC)
