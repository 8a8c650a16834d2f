"""A procedural world of coloured shapes on a three by three grid, known exactly.

A scene is two to five objects, each with a shape, a colour, a size and a grid cell. No two share a cell and no two
share a colour, so "the red circle" names one thing and one word of it suffices to find it: a small model learns to look
up one word long before it learns to match two at once. Every value is one word for the same reason. The same seed
always gives the same scene.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

COLOURS: tuple[str, ...] = ("red", "orange", "brown", "yellow", "green", "blue", "purple", "white")
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "diamond", "cross")
SIZES: tuple[str, ...] = ("tiny", "small", "medium", "large")
#: Names of the grid cells, row by row.
PLACES: tuple[str, ...] = (
    "top-left", "top", "top-right",
    "left", "center", "right",
    "bottom-left", "bottom", "bottom-right",
)  # fmt: skip
NUMBERS: tuple[str, ...] = ("zero", "one", "two", "three", "four", "five")

MIN_OBJECTS = 2
MAX_OBJECTS = 5
#: Share of scenes of three or more that hold two or three objects of one shape, so that counts above one occur.
_THEMED = 0.7


@dataclass(frozen=True, slots=True)
class Thing:
    """One object; `cell` is 0-8, row by row."""

    shape: str
    colour: str
    size: str
    cell: int

    @property
    def place(self) -> str:
        """The name of the cell."""
        return PLACES[self.cell]


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects in raster order, and a seed for whatever is drawn from this scene (noise, jitter, word order)."""

    things: tuple[Thing, ...]
    seed: int


def named_seed(*parts: object) -> Random:
    """A generator that depends on all of `parts` and on nothing else; their `repr` must be stable."""
    return Random("|".join(map(repr, parts)))


def _shapes(rng: Random, count: int) -> list[str]:
    """`count` shapes, often two or three of them alike; each is uniform."""
    alike = [rng.choice(SHAPES)] * rng.choice((2, 3)) if count >= 3 and rng.random() < _THEMED else []
    shapes = [*alike, *rng.choices(SHAPES, k=count - len(alike))]
    rng.shuffle(shapes)
    return shapes


def scene(rng: Random) -> Scene:
    """Draw a scene; the number of objects, and every attribute of an object, is uniform."""
    count = rng.randint(MIN_OBJECTS, MAX_OBJECTS)
    cells = sorted(rng.sample(range(len(PLACES)), count))
    colours = rng.sample(COLOURS, count)
    things = tuple(
        Thing(shape, colour, rng.choice(SIZES), cell)
        for shape, colour, cell in zip(_shapes(rng, count), colours, cells, strict=True)
    )
    return Scene(things, rng.getrandbits(48))


def scenes(count: int, seed: int) -> Iterator[Scene]:
    """`count` scenes, one at a time; the first of a longer stream are those of a shorter one."""
    for index in range(count):
        yield scene(named_seed("scene", seed, index))
